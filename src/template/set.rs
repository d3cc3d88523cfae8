//! Templates that may call each other by name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gotmpl::parse::ListNode;
use gotmpl::{FuncMap, Result, TemplateError, Value, html};

use super::limit::{Bounded, MAX_ROUNDS, bounded};
use super::tree::{self, MAIN, Tree};

/// Named templates, ready to be executed.
#[derive(Clone, Default)]
pub struct Set {
    named: BTreeMap<String, Arc<ListNode>>,
}

impl Set {
    /// Takes what a file defines. As in Go, a later definition replaces an earlier one unless it is empty.
    ///
    /// # Errors
    /// The file defines a name twice.
    pub fn add(&mut self, file: &str, tree: Tree) -> std::result::Result<(), (usize, String)> {
        let mut here = BTreeSet::new();
        for define in tree.ready(file).defines {
            let (name, empty) = (define.name.to_string(), define.body.is_empty_tree());
            if empty && self.named.contains_key(&name) {
                continue;
            }
            if !empty && !here.insert(name.clone()) {
                return Err((define.pos.line, format!("multiple definition of template {name:?}")));
            }
            self.named.insert(name, Arc::new(define.body));
        }
        Ok(())
    }

    /// Whether there is a template of this name.
    pub fn has(&self, name: &str) -> bool {
        self.named.contains_key(name)
    }

    /// Expands a text that may call these templates.
    ///
    /// # Errors
    /// What goes wrong on the way.
    pub fn text(&self, text: Tree, data: &Value, mut functions: FuncMap) -> Result<String> {
        tree::add_functions(&mut functions);
        let mut template = gotmpl::Template::new(MAIN).funcs(bounded(functions)).max_range_iters(MAX_ROUNDS);
        for (name, list) in self.needed(text)? {
            template = template.add_parse_tree(&name, list);
        }
        let mut out = Bounded::default();
        let outcome = template.execute_template_fmt(&mut out, MAIN, data);
        out.finish(outcome)
    }

    /// As [`Self::text`], and escapes what is printed as HTML needs it where it stands.
    ///
    /// # Errors
    /// What goes wrong on the way.
    pub fn html(&self, text: Tree, data: &Value, mut functions: FuncMap) -> Result<String> {
        tree::add_functions(&mut functions);
        let template = html::Template::new("").funcs(bounded(functions)).max_range_iters(MAX_ROUNDS);
        // The engine escapes from a text of its own on.
        let mut template = template.parse(&format!("{{{{template {MAIN:?} .}}}}"))?;
        for (name, list) in self.needed(text)? {
            template = template.add_parse_tree(&name, list)?;
        }
        let mut out = Bounded::default();
        let outcome = template.execute_fmt(&mut out, data);
        out.finish(outcome)
    }

    /// The text under [`MAIN`], and all templates that it comes to call.
    fn needed(&self, text: Tree) -> Result<BTreeMap<String, ListNode>> {
        let text = text.ready("");
        let mut needed: BTreeMap<String, ListNode> =
            text.defines.into_iter().map(|define| (define.name.to_string(), define.body)).collect();
        let mut open = vec![MAIN.to_owned()];
        let mut seen = BTreeSet::new();
        needed.insert(MAIN.into(), text.main);
        while let Some(name) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let list = match (needed.get(&name), self.named.get(&name)) {
                (Some(list), _) => list,
                (None, Some(list)) => needed.entry(name.clone()).or_insert_with(|| (**list).clone()),
                (None, None) => return Err(TemplateError::Exec(format!("template {name:?} not defined"))),
            };
            let mut called = BTreeSet::new();
            tree::calls(list, &mut called);
            open.extend(called.into_iter().map(|(_, name)| name));
        }
        Ok(needed)
    }
}
