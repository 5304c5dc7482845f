//! Sockets that systemd passed: the protocol of sd_listen_fds(3), by LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES.
//!
//! The variables stay as they are, because a process with threads cannot take them back safely. Its children are kept from the sockets all the same: LISTEN_PID
//! names another process, and the descriptors are close-on-exec from the time at which they are taken.

use std::env;
use std::os::fd::RawFd;
use std::process;

use crate::Error;

/// Where the descriptors begin (SD_LISTEN_FDS_START).
const FIRST: RawFd = 3;

/// More than any unit has: a number beyond it is a mistake, and not a reason to look at so many descriptors.
const SOCKETS_MAX: RawFd = 1024;

/// What systemd calls a socket whose unit names none.
const NAMELESS: &str = "unknown";

/// The sockets that systemd passed, as far as they have not been asked for. Read from the environment at the first question.
#[derive(Debug, Default)]
pub(super) struct Passed {
    rest: Option<Vec<(RawFd, String)>>,
}

impl Passed {
    /// All that are left, or those of this name; with what to call each in an error.
    ///
    /// # Errors
    ///
    /// There are none: why, and what to do.
    pub(super) fn take(&mut self, name: Option<&str>) -> Result<Vec<(RawFd, String)>, Error> {
        let rest = match &mut self.rest {
            Some(rest) => rest,
            None => {
                let read = read(|name| env::var(name).ok(), process::id());
                self.rest.insert(read.map_err(|why| Error::usage(format!("cannot listen on what systemd passed: {why}")))?)
            }
        };
        let names: Vec<_> = rest.iter().map(|(_, name)| name.clone()).collect();
        let (taken, left): (Vec<_>, _) = rest.drain(..).partition(|(_, has)| name.is_none_or(|wanted| wanted == has));
        *rest = left;
        if taken.is_empty() {
            let wanted = name.map_or("systemd".into(), |name| format!("systemd:{name}"));
            let names = if names.is_empty() { "none is left".into() } else { format!("there are: {}", names.join(", ")) };
            return Err(Error::usage(format!(
                "cannot listen on {wanted}: systemd passed no such socket; {names}. FileDescriptorName= of the socket unit names them"
            )));
        }
        Ok(taken.into_iter().map(|(number, name)| (number, format!("systemd:{name} (descriptor {number})"))).collect())
    }

    /// Says which sockets nobody asked for: their clients would wait for ever.
    pub(super) fn warn_of_rest(&self) {
        for (number, name) in self.rest.iter().flatten() {
            tracing::warn!("systemd passed a socket that nobody asked for: systemd:{name} (descriptor {number})");
        }
    }
}

/// The sockets, by number and name.
fn read(variable: impl Fn(&str) -> Option<String>, own_pid: u32) -> Result<Vec<(RawFd, String)>, String> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let Some(n) = set("LISTEN_FDS") else {
        return Err("it passed none (LISTEN_FDS is not set); start this from a .socket unit, or give an address".into());
    };
    let pid = set("LISTEN_PID").unwrap_or_default();
    if pid != own_pid.to_string() {
        return Err(format!(
            "it passed them to process `{pid}` (LISTEN_PID), and this is {own_pid}; start the server itself, by `exec` where a script does it"
        ));
    }
    let n = n.parse().ok().filter(|n| (1..=SOCKETS_MAX).contains(n));
    let n = n.ok_or_else(|| format!("LISTEN_FDS={} is no number from 1 to {SOCKETS_MAX}", set("LISTEN_FDS").unwrap_or_default()))?;
    let numbers = FIRST..FIRST + n;
    let Some(names) = set("LISTEN_FDNAMES") else { return Ok(numbers.map(|number| (number, NAMELESS.into())).collect()) };
    let names: Vec<_> = names.split(':').map(String::from).collect();
    if names.len() != numbers.len() {
        return Err(format!("LISTEN_FDS says that there are {n}, and LISTEN_FDNAMES names {}", names.len()));
    }
    Ok(numbers.zip(names).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN_PID: u32 = 7;

    fn sockets(variables: &[(&str, &str)]) -> Result<Vec<(RawFd, String)>, String> {
        read(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into()), OWN_PID)
    }

    #[test]
    fn sockets_have_numbers_from_3_and_names() {
        let fds = [("LISTEN_FDS", "2"), ("LISTEN_PID", "7")];
        assert_eq!(sockets(&fds).unwrap(), [(3, "unknown".into()), (4, "unknown".into())]);
        let named = [fds[0], fds[1], ("LISTEN_FDNAMES", "http:admin")];
        assert_eq!(sockets(&named).unwrap(), [(3, "http".into()), (4, "admin".into())]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong: [(&[(&str, &str)], &str); 7] = [
            (&[], "LISTEN_FDS is not set"),
            (&[("LISTEN_FDS", ""), ("LISTEN_PID", "7")], "LISTEN_FDS is not set"),
            (&[("LISTEN_FDS", "1")], "to process ``"),
            (&[("LISTEN_FDS", "1"), ("LISTEN_PID", "8")], "to process `8` (LISTEN_PID), and this is 7"),
            (&[("LISTEN_FDS", "0"), ("LISTEN_PID", "7")], "LISTEN_FDS=0 is no number"),
            (&[("LISTEN_FDS", "many"), ("LISTEN_PID", "7")], "LISTEN_FDS=many is no number"),
            (&[("LISTEN_FDS", "1"), ("LISTEN_PID", "7"), ("LISTEN_FDNAMES", "a:b")], "names 2"),
        ];
        for (variables, text) in wrong {
            let error = sockets(variables).unwrap_err();
            assert!(error.contains(text), "no `{text}` in: {error}");
        }
    }

    #[test]
    fn each_is_taken_once_by_name_or_with_all() {
        let names = |taken: Vec<(RawFd, String)>| taken.into_iter().map(|(number, _)| number).collect::<Vec<_>>();
        let mut passed = Passed { rest: Some(vec![(3, "a".into()), (4, "b".into()), (5, "a".into()), (6, "c".into())]) };
        assert_eq!(names(passed.take(Some("a")).unwrap()), [3, 5]);
        let error = passed.take(Some("a")).unwrap_err().to_string();
        assert!(error.contains("systemd:a") && error.contains("there are: b, c"), "{error}");
        assert_eq!(names(passed.take(None).unwrap()), [4, 6]);
        assert!(passed.take(None).unwrap_err().to_string().contains("none is left"));
    }
}
