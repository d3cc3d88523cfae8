//! Which files a pattern such as `alerts/*.yml` names. `*` and `?` match within the file's name only, as users write them.

use std::path::{Path, PathBuf};

/// The files in order of their names. A pattern without wildcards names its file, whether it is there or not.
pub fn files(pattern: &str, base: &Path) -> std::io::Result<Vec<PathBuf>> {
    let path = base.join(pattern);
    let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| name.contains(['*', '?'])) else {
        return Ok(vec![path]);
    };
    let name: Vec<char> = name.chars().collect();
    let folder = path.parent().unwrap_or(base);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().chars().collect::<Vec<_>>();
        // As a shell does, a wildcard does not find hidden files.
        if matches(&name, &file) && (file.first() != Some(&'.') || name.first() == Some(&'.')) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn matches(pattern: &[char], name: &[char]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => (0..=name.len()).any(|skip| matches(rest, &name[skip..])),
        (Some(('?', rest)), Some((_, left))) => matches(rest, left),
        (Some((wanted, rest)), Some((is, left))) => wanted == is && matches(rest, left),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_takes_any_part_of_a_name() {
        for (pattern, name, is) in [("*.yml", "a.yml", true), ("*.yml", "a.yaml", false), ("a?*l", "abl", true)] {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(matches(&chars(pattern), &chars(name)), is, "{pattern} on {name}");
        }
    }
}
