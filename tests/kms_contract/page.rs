//! `docs/kms-contract.md` shows the rules as they are.

use std::fs;

use crate::contract::rules::table;

#[test]
fn the_page_has_the_table_of_the_rules() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kms-contract.md");
    let page = fs::read_to_string(page).unwrap();
    let start = page.find("| rule |").unwrap();
    assert_eq!(
        page[start..],
        table(),
        "put what `cargo run --example kms-contract -- --table` prints at the end of docs/kms-contract.md"
    );
}
