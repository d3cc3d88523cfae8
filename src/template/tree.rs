//! A template's tree: checked for names that nobody defines, and made to print as Go does.
//!
//! Methods with arguments, of which times have one, become function calls.
//! Two things the engine prints differently are put right by sending every printed value through one function:
//! a missing label is an empty text (`<no value>` otherwise), and a float is written as Go's `%v`.

use std::sync::Arc;

use gotmpl::parse::{BranchNode, CommandNode, DefineNode, Expr, ListNode, Node, Parser, PipeNode};
use gotmpl::{FuncMap, Result, Template, TemplateError, Value};

use super::moment;
use crate::model::render_float;

/// The name under which the text itself is kept beside what it defines.
pub const MAIN: &str = "__main";
/// The function that every printed value goes through.
const PRINT: &str = "__print";
/// The function that calls of a time's method `Format` become.
const FORMAT: &str = "__format";
/// More loop rounds than this end an expansion.
const MAX_ROUNDS: u64 = 100_000;

/// Go's own functions.
const BUILTIN: [&str; 21] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or", "print", "printf",
    "println", "slice", "urlquery", "break", "continue",
];

/// A parsed text.
pub struct Tree {
    main: ListNode,
    defines: Vec<DefineNode>,
}

/// Parses a text.
pub fn parse(text: &str) -> Result<Tree> {
    let (main, defines) = Parser::new(text, "{{", "}}")?.parse()?;
    Ok(Tree { main, defines })
}

impl Tree {
    /// Whether every function and variable is there; Go finds this when it parses.
    pub fn check(&self, functions: &FuncMap) -> Result<()> {
        let mut names = Names { functions, declared: Vec::new() };
        names.list(&self.main)?;
        self.defines.iter().try_for_each(|define| names.list(&define.body))
    }

    /// A template whose [`MAIN`] is the text.
    pub fn into_template(self, functions: FuncMap) -> Template {
        let mut template = Template::new(MAIN)
            .funcs(functions)
            .func(PRINT, |args| Ok(printed(args)))
            .func(FORMAT, moment::format)
            .max_range_iters(MAX_ROUNDS);
        for mut define in self.defines {
            print_like_go(&mut define.body);
            template = template.add_parse_tree(&define.name, define.body);
        }
        let mut main = self.main;
        print_like_go(&mut main);
        template.add_parse_tree(MAIN, main)
    }
}

fn printed(args: &[Value]) -> Value {
    match args.first() {
        None | Some(Value::Nil) => Value::from(""),
        Some(Value::Float(value)) => Value::from(render_float(*value)),
        Some(other) => moment::text(other).unwrap_or(other).clone(),
    }
}

fn print_like_go(list: &mut ListNode) {
    for node in &mut list.nodes {
        match node {
            Node::List(inner) => print_like_go(inner),
            Node::Action(action) => {
                call_methods(&mut action.pipe);
                if !action.pipe.decl.is_empty() {
                    continue;
                }
                let pos = action.pos;
                let print = CommandNode { pos, args: vec![Expr::Identifier(pos, PRINT.into())] };
                action.pipe.commands.push(print);
            }
            Node::If(branch) | Node::Range(branch) | Node::With(branch) => {
                call_methods(&mut branch.pipe);
                print_like_go(&mut branch.body);
                branch.else_body.iter_mut().for_each(print_like_go);
            }
            Node::Define(define) => print_like_go(&mut define.body),
            Node::Template(call) => call.pipe.iter_mut().for_each(call_methods),
            _ => {}
        }
    }
}

/// Makes function calls of `X.Format "layout"`: the engine knows no methods with arguments.
fn call_methods(pipe: &mut PipeNode) {
    for command in &mut pipe.commands {
        for arg in &mut command.args {
            match arg {
                Expr::Pipe(_, inner) => call_methods(inner),
                Expr::Chain(_, inner, _) => {
                    if let Expr::Pipe(_, inner) = &mut **inner {
                        call_methods(inner);
                    }
                }
                _ => {}
            }
        }
        if command.args.len() < 2 {
            continue;
        }
        let (Expr::Chain(_, _, fields) | Expr::Variable(_, _, fields) | Expr::Field(_, fields)) = &mut command.args[0]
        else {
            continue;
        };
        if fields.last().is_some_and(|field| field == "Format") {
            fields.pop();
            if let Expr::Field(pos, fields) = &command.args[0]
                && fields.is_empty()
            {
                command.args[0] = Expr::Dot(*pos);
            }
            command.args.insert(0, Expr::Identifier(command.pos, FORMAT.into()));
        }
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
