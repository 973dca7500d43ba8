//! `docs/compatibility.md` claims nothing without a test.

use std::fs;

use super::root;

/// Every test that a table names is there, and every cell of a table names one or says that there is
/// none.
#[test]
fn every_cell_names_a_test_that_exists() {
    let page = fs::read_to_string(root().join("docs/compatibility.md")).unwrap();
    let mut sources = String::new();
    collect(&root().join("tests"), &mut sources);
    let mut named = 0;
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").collect();
        if cells
            .iter()
            .all(|cell| !cell.contains('`') && cell.trim() != "–")
        {
            // The head of a table.
            continue;
        }
        for cell in &cells[1..] {
            let tests: Vec<_> = cell.split('`').skip(1).step_by(2).collect();
            assert!(
                !tests.is_empty() || cell.trim() == "–",
                "{cell:?} in {line}"
            );
            for test in tests {
                assert!(exists(test, &sources), "there is no test {test}");
                named += 1;
            }
        }
    }
    assert!(named > 20, "the tables are not read: {named}");
}

/// `module::test`; below `more` a macro makes them for every release it is given.
fn exists(test: &str, sources: &str) -> bool {
    let mut path = test.split("::");
    let is_there = |function: &str| sources.contains(&format!("fn {function}() {{"));
    match (path.next(), path.next(), path.next()) {
        (Some("more"), Some(release), Some(function)) => {
            sources.contains(&format!("{release}: ")) && is_there(function)
        }
        (Some(_), Some(function), None) => is_there(function),
        _ => false,
    }
}

fn collect(directory: &std::path::Path, sources: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}
