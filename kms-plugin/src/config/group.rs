use std::fs;

/// The id of a group: itself, if it is a number, else what `/etc/group` says.
pub(super) fn resolve(group: &str) -> Result<u32, String> {
    if let Ok(gid) = group.parse() {
        return Ok(gid);
    }
    let groups = fs::read_to_string("/etc/group")
        .map_err(|error| format!("cannot be looked up: /etc/group: {error}; give its number"))?;
    find(&groups, group).ok_or_else(|| "is not in /etc/group; give its number".to_owned())
}

fn find(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name))
            .then(|| fields.nth(1)?.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_file_of_groups_panics(
            groups in "([a-z]{0,3}:?[x0-9:]{0,12}[a-z,]{0,5}\n?){0,5}|.{0,60}",
            name in "[a-z]{0,3}",
        ) {
            if let Some(gid) = find(&groups, &name) {
                let line = groups.lines().find(|line| line.starts_with(&format!("{name}:")));
                prop_assert!(line.is_some_and(|line| line.contains(&gid.to_string())));
            }
        }
    }

    #[test]
    fn numbers_are_taken_and_names_looked_up() {
        assert_eq!(resolve("4242"), Ok(4242));
        let groups = "root:x:0:\nkms:x:991:alice,bob\nbroken\n";
        assert_eq!(find(groups, "kms"), Some(991));
        assert_eq!(find(groups, "broken"), None);
        assert_eq!(find(groups, "km"), None);
    }
}
