//! The rules, by subject. Their order is the order of a run: what only looks comes before what
//! changes the plugin.

mod authority;
mod decrypt;
mod encrypt;
mod limits;
mod load;
mod messages;
mod restart;
mod rotation;
mod secrecy;
mod status;
mod transport;

use super::Rule;

pub(super) use restart::Restarted;
pub(super) use rotation::Rotated;

/// All rules.
pub(crate) fn all() -> impl Iterator<Item = &'static Rule> {
    let subjects = [
        messages::RULES,
        status::RULES,
        limits::RULES,
        encrypt::RULES,
        decrypt::RULES,
        secrecy::RULES,
        load::RULES,
        transport::RULES,
        authority::RULES,
        rotation::RULES,
        restart::RULES,
        status::OVER_THE_RUN,
    ];
    subjects.into_iter().flatten()
}

/// All rules as a table for people, in Markdown.
pub(crate) fn table() -> String {
    let mut table = "| rule | asks | source |\n|---|---|---|\n".to_owned();
    for Rule {
        name, asks, source, ..
    } in all()
    {
        table += &format!("| `{name}` | {asks} | {source} |\n");
    }
    table
}
