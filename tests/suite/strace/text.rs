//! The notation of strace's arguments: parts, strings, flags, addresses.

use anyhow::{Context as _, Result, bail};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Place of the bracket that closes what came before `text`; brackets in strings do not count.
pub(super) fn unquoted_end(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    each_unquoted(text)
        .find(|(_, byte)| match byte {
            b'(' | b'[' | b'{' => {
                depth += 1;
                false
            }
            b')' | b']' | b'}' if depth > 0 => {
                depth -= 1;
                false
            }
            b')' | b']' | b'}' => true,
            _ => false,
        })
        .map(|(at, _)| at)
}

/// The parts of a list, split at commas that are in no bracket and no string.
pub(super) fn parts(text: &str) -> Vec<String> {
    let (mut depth, mut start) = (0_u32, 0);
    let mut found = Vec::new();
    for (at, byte) in each_unquoted(text) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                found.push(text[start..at].trim().to_owned());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = text[start..].trim();
    if !last.is_empty() {
        found.push(last.to_owned());
    }
    found
}

/// Bytes outside of strings, with their places.
fn each_unquoted(text: &str) -> impl Iterator<Item = (usize, u8)> + '_ {
    let (mut quoted, mut escaped) = (false, false);
    text.bytes().enumerate().filter(move |(_, byte)| {
        let within = quoted;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        !within && *byte != b'"'
    })
}

/// The parts of `{a=1, b=2}` or `[1, 2]`.
pub(super) fn inside(text: &str) -> Result<Vec<String>> {
    let inner = text.get(1..).context("no bracket")?;
    Ok(parts(&inner[..unquoted_end(inner).context("no closing bracket")?]))
}

/// Field of `{name=value, ...}`.
pub(super) fn field(text: &str, name: &str) -> Result<Option<String>> {
    let found = inside(text)?.into_iter().find_map(|part| {
        part.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    });
    Ok(found)
}

/// The bytes of a string in quotes; `None` where it is none (`NULL`, an address that could not be read) or was cut.
pub(super) fn string(text: &str) -> Option<Vec<u8>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?.as_bytes();
    let mut bytes = Vec::new();
    let mut at = 0;
    while let Some(byte) = inner.get(at) {
        at += 1;
        if *byte != b'\\' {
            bytes.push(*byte);
            continue;
        }
        let escape = inner.get(at)?;
        at += 1;
        bytes.push(match escape {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'v' => 0x0b,
            b'f' => 0x0c,
            b'0'..=b'7' => {
                let digits = inner[at - 1..].iter().take(3).take_while(|byte| (b'0'..=b'7').contains(byte));
                let (count, value) =
                    digits.fold((0, 0_u32), |(n, sum), d| (n + 1, sum * 8 + u32::from(d - b'0')));
                at += count - 1;
                u8::try_from(value).ok()?
            }
            other => *other,
        });
    }
    Some(bytes)
}

/// An address as the contract writes it; `None` for a pointer that strace did not follow.
pub(super) fn address(text: &str) -> Result<Option<String>> {
    if !text.starts_with('{') {
        return Ok(None);
    }
    let missing = || format!("no address: {text}");
    let family = field(text, "sa_family")?.with_context(missing)?;
    let between = |start: &str, end: char| {
        let (_, rest) = text.split_once(start)?;
        rest.split(end).next()
    };
    Ok(Some(match family.as_str() {
        "AF_INET" => {
            let ip: Ipv4Addr = between("inet_addr(\"", '"').with_context(missing)?.parse()?;
            format!("{ip}:{}", between("sin_port=htons(", ')').with_context(missing)?)
        }
        "AF_INET6" => {
            let ip: Ipv6Addr = between("inet_pton(AF_INET6, \"", '"').with_context(missing)?.parse()?;
            format!("[{ip}]:{}", between("sin6_port=htons(", ')').with_context(missing)?)
        }
        "AF_UNIX" => {
            let path = field(text, "sun_path")?.unwrap_or_else(|| "\"\"".to_owned());
            let (mark, path) = match path.strip_prefix('@') {
                Some(name) => ("@", name),
                None => ("", path.as_str()),
            };
            format!("unix:{mark}{}", String::from_utf8_lossy(&string(path).with_context(missing)?))
        }
        "AF_NETLINK" => {
            let port = field(text, "nl_pid")?.with_context(missing)?;
            let groups = field(text, "nl_groups")?.with_context(missing)?;
            match u32::from_str_radix(groups.trim_start_matches("0x"), 16)? {
                0 => format!("netlink:{port}"),
                groups => format!("netlink:{port},groups={groups:#x}"),
            }
        }
        "AF_UNSPEC" => "unspec".to_owned(),
        _ => bail!("an address of a family that is not compared: {text}"),
    }))
}

#[cfg(test)]
mod tests {
    use super::{address, field, inside, parts, string};

    fn text(address_text: &str) -> String {
        address(address_text).unwrap().unwrap()
    }

    #[test]
    fn parts_are_split_at_their_own_level_only() {
        assert_eq!(parts("3, {a=[1, 2], b=\"x, y\"}, 0"), ["3", "{a=[1, 2], b=\"x, y\"}", "0"]);
        assert!(parts("").is_empty());
        assert_eq!(inside("[3, 4]").unwrap(), ["3", "4"]);
        assert_eq!(field("{a=1, b=[c, d]}", "b").unwrap().as_deref(), Some("[c, d]"));
    }

    #[test]
    fn strings_have_the_escapes_of_c() {
        assert_eq!(string(r#""a\n\"\\\0\1\3773""#).unwrap(), b"a\n\"\\\0\x01\xff3");
        assert_eq!(string(r#""cut"..."#), None);
        assert_eq!(string("NULL"), None);
    }

    #[test]
    fn addresses_are_written_as_the_contract_does() {
        assert_eq!(
            text(r#"{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("1.2.3.4")}"#),
            "1.2.3.4:80"
        );
        assert_eq!(
            text(
                r#"{sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=0}"#
            ),
            "[::1]:80"
        );
        assert_eq!(text(r#"{sa_family=AF_UNIX, sun_path="/run/x.sock"}"#), "unix:/run/x.sock");
        assert_eq!(text(r#"{sa_family=AF_UNIX, sun_path=@"name"}"#), "unix:@name");
        assert_eq!(text("{sa_family=AF_UNIX}"), "unix:");
        assert_eq!(address("0x7ffe1234").unwrap(), None);
        assert_eq!(address("NULL").unwrap(), None);
    }
}
