//! Users and groups, as `/etc/passwd` and `/etc/group` name them.
//!
//! Other directories of names (LDAP, systemd's dynamic users) are not asked: who
//! uses them writes numbers.

/// A user, with the groups that `initgroups` would give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: String,
    pub(super) groups: Vec<u32>,
}

/// The two files' texts.
pub(super) struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    /// Reads both files; one that can't be read names nobody.
    pub(super) fn read() -> Self {
        let text = |path| std::fs::read(path).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
        Self { passwd: text("/etc/passwd"), group: text("/etc/group") }
    }

    /// The user of this name, or else of this number.
    pub(super) fn user(&self, wanted: &str) -> Option<Account> {
        let lines = || self.passwd.lines().filter_map(fields::<7>);
        let named = lines().find(|[name, ..]| *name == wanted);
        let found =
            named.or_else(|| number(wanted).and_then(|id| lines().find(|[_, _, uid, ..]| number(uid) == Some(id))));
        let [name, _, uid, gid, _, home, _] = found?;
        let gid = number(gid)?;
        let mut groups = vec![gid];
        for [_, _, other, members] in self.group.lines().filter_map(fields::<4>) {
            let Some(other) = number(other) else { continue };
            if members.split(',').any(|member| member == name) && !groups.contains(&other) {
                groups.push(other);
            }
        }
        Some(Account { name: name.to_owned(), uid: number(uid)?, gid, home: home.to_owned(), groups })
    }

    /// The number of the group of this name.
    pub(super) fn group(&self, wanted: &str) -> Option<u32> {
        let mut lines = self.group.lines().filter_map(fields::<4>);
        lines.find(|[name, ..]| *name == wanted).and_then(|[_, _, gid, _]| number(gid))
    }
}

/// A number as one writes it in place of a name. The highest means "nobody in
/// particular" to the kernel.
pub(super) fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number != u32::MAX)
}

fn fields<const N: usize>(line: &str) -> Option<[&str; N]> {
    line.split(':').collect::<Vec<_>>().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::{Account, Accounts, number};

    fn sample() -> Accounts {
        Accounts {
            passwd: "root:x:0:0:root:/root:/bin/sh\nbroken\nwww:x:33:33::/var/www:/bin/false\n\
                     12:x:99:99::/odd:/bin/sh\ntwelve:x:12:12::/twelve:/bin/sh\n"
                .into(),
            group: "root:x:0:\nwww:x:33:\nlogs:x:4:root,www\nwwwx:x:5:wwwx\nmedia:x:44:www\nmedia2:x:44:www\n".into(),
        }
    }

    #[test]
    fn users_have_the_groups_that_list_them() {
        let www = Account { name: "www".into(), uid: 33, gid: 33, home: "/var/www".into(), groups: vec![33, 4, 44] };
        for (wanted, expected) in
            [("www", Some(&www)), ("33", Some(&www)), ("ww", None), ("34", None), ("broken", None)]
        {
            assert_eq!(sample().user(wanted).as_ref(), expected, "{wanted}");
        }
        // A name of digits comes before a number, as in chown.
        assert_eq!(sample().user("12").map(|a| a.uid), Some(99));
    }

    #[test]
    fn groups_are_found_by_name() {
        for (wanted, expected) in [("logs", Some(4)), ("nope", None), ("4", None)] {
            assert_eq!(sample().group(wanted), expected, "{wanted}");
        }
    }

    #[test]
    fn numbers_are_plain_digits() {
        let cases =
            [("0", Some(0)), ("4294967294", Some(u32::MAX - 1)), ("4294967295", None), ("+1", None), ("", None)];
        for (text, expected) in cases {
            assert_eq!(number(text), expected, "{text:?}");
        }
    }
}
