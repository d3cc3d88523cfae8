//! A template's tree: checked for names that nobody defines, and made to print as Go does.
//!
//! The engine knows neither types nor methods, and prints two things differently. So every `.Name` becomes a call of one
//! function ([`member`]), and every printed value goes through another: a float is written as Go's `%v`, a set of labels by
//! name, a missing value not at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use gotmpl::parse::{BranchNode, CommandNode, DefineNode, Expr, ListNode, Node, Parser, PipeNode, Pos, SmolStr};
use gotmpl::{FuncMap, Result, TemplateError, Value};

use super::{display, member};

/// The name under which the text itself is kept beside what it defines.
pub const MAIN: &str = "__main";
/// The function that every printed value goes through.
const PRINT: &str = "__print";
/// The function that every `.Name` becomes.
const MEMBER: &str = "__member";

/// Go's own functions.
const BUILTIN: [&str; 21] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or", "print", "printf",
    "println", "slice", "urlquery", "break", "continue",
];

/// A parsed text.
pub struct Tree {
    /// What stands outside of definitions.
    pub main: ListNode,
    /// `{{ define }}` and `{{ block }}`.
    pub defines: Vec<DefineNode>,
}

/// Parses a text.
pub fn parse(text: &str) -> Result<Tree> {
    parse_file("", text)
}

/// Parses a file's text. `name` stands in errors.
pub fn parse_file(name: &str, text: &str) -> Result<Tree> {
    let name = (!name.is_empty()).then_some(name);
    let read = |text: &str| Parser::with_name(name, text, "{{", "}}")?.parse();
    let (main, defines) = read(text)?;
    // The engine takes an `{{ end }}` or `{{ else }}` too many for the end of the text. Then what is put behind is not found.
    let (probe, _) = read(&format!("{text}{{{{true}}}}"))?;
    if !matches!(probe.nodes.last(), Some(Node::Action(_))) || probe.nodes.len() == main.nodes.len() {
        let line = main.nodes.last().map_or(1, last_line);
        let (name, message) = (name.map(ToOwned::to_owned), "unexpected {{end}} or {{else}}".to_owned());
        return Err(TemplateError::Parse { name, line, col: 1, message });
    }
    Ok(Tree { main, defines })
}

/// The line of a node, a text's last one.
fn last_line(node: &Node) -> usize {
    match node {
        Node::Text(text) => text.pos.line + text.text.matches('\n').count(),
        Node::Action(action) => action.pos.line,
        Node::If(branch) | Node::Range(branch) | Node::With(branch) => branch.pos.line,
        Node::Template(call) => call.pos.line,
        Node::Define(define) => define.pos.line,
        Node::List(list) => list.pos.line,
        Node::Break(pos) | Node::Continue(pos) => pos.line,
    }
}

impl Tree {
    /// Whether every function and variable is there; Go finds this when it parses.
    pub fn check(&self, functions: &FuncMap) -> Result<()> {
        let mut names = Names { functions, declared: Vec::new() };
        names.list(&self.main)?;
        self.defines.iter().try_for_each(|define| {
            names.declared.clear();
            names.list(&define.body)
        })
    }

    /// The same tree in the form in which it is executed.
    #[must_use]
    pub fn ready(mut self, file: &str) -> Self {
        let rewrite = Rewrite { file: if file.is_empty() { String::new() } else { format!("{file}:") } };
        rewrite.list(&mut self.main);
        for define in &mut self.defines {
            rewrite.list(&mut define.body);
        }
        self
    }

    /// The templates that it calls, with the lines.
    pub fn calls(&self) -> BTreeSet<(usize, String)> {
        let mut found = BTreeSet::new();
        calls(&self.main, &mut found);
        self.defines.iter().for_each(|define| calls(&define.body, &mut found));
        found
    }
}

/// The templates that a list calls, with the lines.
pub fn calls(list: &ListNode, found: &mut BTreeSet<(usize, String)>) {
    for node in &list.nodes {
        match node {
            Node::List(list) => calls(list, found),
            Node::If(branch) | Node::Range(branch) | Node::With(branch) => {
                calls(&branch.body, found);
                branch.else_body.iter().for_each(|body| calls(body, found));
            }
            Node::Template(call) => {
                found.insert((call.pos.line, call.name.to_string()));
            }
            Node::Define(define) => calls(&define.body, found),
            Node::Text(_) | Node::Action(_) | Node::Break(_) | Node::Continue(_) => {}
        }
    }
}

/// Adds the functions that a [`Tree::ready`] calls.
pub fn add_functions(functions: &mut FuncMap) {
    functions.insert(PRINT.into(), Arc::new(|args: &[Value]| printed(args)));
    functions.insert(
        MEMBER.into(),
        Arc::new(|args: &[Value]| {
            let [receiver, Value::String(name), Value::String(at), args @ ..] = args else {
                return Err(TemplateError::Exec("a member of nothing".into()));
            };
            member::member(receiver, name, args).map_err(|error| match error {
                TemplateError::Exec(message) => TemplateError::Exec(format!("{at}: {message}")),
                other => other,
            })
        }),
    );
}

/// What stands for a value where it is printed. Trusted markup stays what it is, and so do numbers and truth values, which
/// are written differently inside scripts.
fn printed(args: &[Value]) -> Result<Value> {
    match args.first() {
        None | Some(Value::Nil) => Ok(Value::from("")),
        Some(value @ (Value::Float(_) | Value::List(_) | Value::Map(_))) => Ok(display::text(value)?.into()),
        Some(other) => Ok(other.clone()),
    }
}

/// Makes calls of [`MEMBER`] and [`PRINT`] of what the engine does differently.
struct Rewrite {
    /// With a colon, before a line's number.
    file: String,
}

impl Rewrite {
    fn list(&self, list: &mut ListNode) {
        for node in &mut list.nodes {
            match node {
                Node::List(inner) => self.list(inner),
                Node::Action(action) => {
                    self.pipe(&mut action.pipe);
                    if action.pipe.decl.is_empty() {
                        let pos = action.pos;
                        let print = CommandNode { pos, args: vec![Expr::Identifier(pos, PRINT.into())] };
                        action.pipe.commands.push(print);
                    }
                }
                Node::If(branch) | Node::Range(branch) | Node::With(branch) => {
                    self.pipe(&mut branch.pipe);
                    self.list(&mut branch.body);
                    branch.else_body.iter_mut().for_each(|body| self.list(body));
                }
                Node::Define(define) => self.list(&mut define.body),
                Node::Template(call) => call.pipe.iter_mut().for_each(|pipe| self.pipe(pipe)),
                Node::Text(_) | Node::Break(_) | Node::Continue(_) => {}
            }
        }
    }

    fn pipe(&self, pipe: &mut PipeNode) {
        for command in &mut pipe.commands {
            let mut args = command.args.drain(..).map(|arg| self.expr(arg)).collect::<Vec<_>>();
            // A member with arguments is a method: they go into its call.
            if let Some(Expr::Pipe(_, call)) = args.first_mut()
                && let [only] = call.commands.as_mut_slice()
                && matches!(only.args.first(), Some(Expr::Identifier(_, name)) if name.as_str() == MEMBER)
            {
                let mut own = std::mem::take(&mut only.args);
                own.extend(args.drain(1..));
                args = own;
            }
            command.args = args;
        }
    }

    fn expr(&self, expr: Expr) -> Expr {
        match expr {
            Expr::Field(pos, fields) => self.members(Expr::Dot(pos), pos, "", fields),
            Expr::Variable(pos, name, fields) => {
                let before = name.to_string();
                self.members(Expr::Variable(pos, name, Vec::new()), pos, &before, fields)
            }
            Expr::Chain(pos, inner, fields) => {
                let inner = self.expr(*inner);
                self.members(inner, pos, "(…)", fields)
            }
            Expr::Pipe(pos, mut pipe) => {
                self.pipe(&mut pipe);
                Expr::Pipe(pos, pipe)
            }
            other => other,
        }
    }

    fn members(&self, base: Expr, pos: Pos, before: &str, fields: Vec<SmolStr>) -> Expr {
        let mut path = before.to_owned();
        fields.into_iter().fold(base, |base, field| {
            path.push('.');
            path.push_str(&field);
            let at = format!("{}{}: at <{path}>", self.file, pos.line);
            let text = |text: &str| Expr::String(pos, Arc::from(text));
            let args = vec![Expr::Identifier(pos, MEMBER.into()), base, text(&field), text(&at)];
            let command = CommandNode { pos, args };
            Expr::Pipe(pos, PipeNode { pos, decl: Vec::new(), commands: vec![command], is_assign: false })
        })
    }
}

struct Names<'f> {
    functions: &'f FuncMap,
    declared: Vec<Arc<str>>,
}

impl Names<'_> {
    fn list(&mut self, list: &ListNode) -> Result<()> {
        list.nodes.iter().try_for_each(|node| match node {
            Node::List(list) => self.list(list),
            Node::Action(action) => self.pipe(&action.pipe),
            Node::If(branch) | Node::Range(branch) | Node::With(branch) => self.branch(branch),
            Node::Template(call) => call.pipe.as_ref().map_or(Ok(()), |pipe| self.pipe(pipe)),
            Node::Define(define) => self.list(&define.body),
            Node::Text(_) | Node::Break(_) | Node::Continue(_) => Ok(()),
        })
    }

    fn branch(&mut self, branch: &BranchNode) -> Result<()> {
        self.pipe(&branch.pipe)?;
        self.list(&branch.body)?;
        branch.else_body.as_ref().map_or(Ok(()), |body| self.list(body))
    }

    fn pipe(&mut self, pipe: &PipeNode) -> Result<()> {
        pipe.commands.iter().flat_map(|command| &command.args).try_for_each(|arg| self.expr(arg))?;
        self.declared.extend(pipe.decl.iter().map(|name| Arc::from(name.trim_start_matches('$'))));
        Ok(())
    }

    fn expr(&mut self, expr: &Expr) -> Result<()> {
        match expr {
            Expr::Identifier(_, name) => {
                let known = BUILTIN.contains(&name.as_str()) || self.functions.contains_key(name.as_str());
                known
                    .then_some(())
                    .ok_or_else(|| TemplateError::Exec(format!("function {:?} not defined", name.as_str())))
            }
            Expr::Variable(_, name, _) => {
                let bare = name.trim_start_matches('$');
                let known = bare.is_empty() || self.declared.iter().any(|declared| &**declared == bare);
                known.then_some(()).ok_or_else(|| TemplateError::Exec(format!("undefined variable \"${bare}\"")))
            }
            Expr::Pipe(_, pipe) => self.pipe(pipe),
            Expr::Chain(_, inner, _) => self.expr(inner),
            _ => Ok(()),
        }
    }
}
