//! The user's own templates: the files that `templates:` names.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use gotmpl::TemplateError;

use crate::model::{Millis, Place, Problems};
use crate::template::{Set, parse_file};
use crate::yaml::{Node, glob};

use super::{defaults, functions};

/// More bytes than this in one file are not templates.
const MAX_FILE: u64 = 4 << 20;

/// The texts of the files, in the order in which they count.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Files {
    files: Vec<(Arc<str>, String)>,
}

impl Files {
    /// One file that is already read.
    pub fn of(name: &str, text: &str) -> Self {
        Self { files: vec![(name.into(), text.to_owned())] }
    }

    /// Reads every file that the patterns name, relative to `folder`. As in Alertmanager, a pattern may find nothing.
    pub fn read(patterns: &[Node], folder: &Path, problems: &Problems) -> Self {
        let (mut files, mut seen) = (Vec::new(), HashSet::new());
        for node in patterns {
            let Some(pattern) = node.text() else {
                let what = format!("a template file is {}", node.kind());
                problems.add(&node.at, what, "write its path, or a pattern such as templates/*.tmpl");
                continue;
            };
            let found = glob::files(pattern, folder).unwrap_or_default();
            for path in found.into_iter().filter(|path| seen.insert(path.clone())) {
                let name: Arc<str> = path.display().to_string().into();
                match read(&path) {
                    Ok(text) => files.push((name, text)),
                    Err(error) => {
                        let what = format!("cannot read the template file {name}: {error}");
                        problems.add(&node.at, what, "check the path and its rights");
                    }
                }
            }
        }
        let files = Self { files };
        files.check(problems);
        files
    }

    /// Notes what is wrong with the files: their syntax, functions that nobody has, and calls of templates that nobody
    /// defines.
    fn check(&self, problems: &Problems) {
        let functions = functions::at(Millis(0));
        let mut all = defaults::set();
        self.add_to(&mut all);
        for (file, text) in &self.files {
            let at = |line: usize, column: usize| Place { file: Arc::clone(file), line, column };
            let tree = match parse_file(file, text) {
                Ok(tree) => tree,
                Err(
                    TemplateError::Parse { line, col, message, .. } | TemplateError::Lex { line, col, message, .. },
                ) => {
                    problems.add(&at(line, col), message, "");
                    continue;
                }
                Err(error) => {
                    problems.add(&at(1, 1), error.to_string(), "");
                    continue;
                }
            };
            if let Err(error) = tree.check(&functions) {
                problems.add(&at(1, 1), crate::template::message(&error), "");
            }
            for (line, name) in tree.calls() {
                if !all.has(&name) {
                    let what = format!("there is no template {name:?}");
                    problems.add(&at(line, 1), what, format!("add {{{{ define {name:?} }}}}…{{{{ end }}}}"));
                }
            }
            if let Err((line, message)) = Set::default().add(file, tree) {
                problems.add(&at(line, 1), message, "");
            }
        }
    }

    /// Adds the files' templates. Files with problems, which no configuration in use has, add nothing.
    pub(super) fn add_to(&self, set: &mut Set) {
        for (file, text) in &self.files {
            let short = file.rsplit('/').next().unwrap_or(file);
            let _ = parse_file(file, text).map(|tree| set.add(short, tree));
        }
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let size = std::fs::metadata(path)?.len();
    if size > MAX_FILE {
        return Err(std::io::Error::other(format!("it has more than {MAX_FILE} bytes")));
    }
    std::fs::read_to_string(path)
}
