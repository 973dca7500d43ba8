//! As much of `net/url` as decides whether an endpoint is accepted and which path it has.

use std::net::Ipv6Addr;

/// A parsed URL, reduced to what an endpoint needs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// In lower case; empty if there is none.
    pub(crate) scheme: String,
    /// Percent-decoded, so it may be anything; empty for `unix:path`, as Go calls that opaque.
    pub(crate) path: Vec<u8>,
}

/// Parses as `url.Parse`; the error is why Go refuses.
pub(crate) fn parse(text: &str) -> Result<Url, &'static str> {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err("invalid control character in URL");
    }
    unescape(fragment)?;
    let (scheme, rest) = scheme(text)?;
    let rest = rest.split_once('?').map_or(rest, |(rest, _query)| rest);
    let url = |path| Url {
        scheme: scheme.to_ascii_lowercase(),
        path,
    };
    if !rest.starts_with('/') {
        let (segment, _) = rest.split_once('/').unwrap_or((rest, ""));
        return match scheme {
            "" if segment.contains(':') => Err("first path segment in URL cannot contain colon"),
            "" => Ok(url(unescape(rest)?)),
            _ => Ok(url(Vec::new())),
        };
    }
    let authority = match scheme {
        "" => rest
            .strip_prefix("//")
            .filter(|rest| !rest.starts_with('/')),
        _ => rest.strip_prefix("//"),
    };
    let path = match authority {
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            check_authority(authority)?;
            path
        }
        None => rest,
    };
    Ok(url(unescape(path)?))
}

fn scheme(text: &str) -> Result<(&str, &str), &'static str> {
    let end =
        text.find(|char: char| !(char.is_ascii_alphanumeric() || matches!(char, '+' | '-' | '.')));
    match end {
        Some(0) if text.starts_with(':') => Err("missing protocol scheme"),
        Some(end)
            if text[end..].starts_with(':')
                && text.starts_with(|char: char| char.is_ascii_alphabetic()) =>
        {
            Ok((&text[..end], &text[end + 1..]))
        }
        _ => Ok(("", text)),
    }
}

fn check_authority(authority: &str) -> Result<(), &'static str> {
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let allowed = |char: char| char.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(char);
    if !user.chars().all(allowed) {
        return Err("invalid userinfo");
    }
    unescape(user)?;
    check_host(host)
}

fn check_host(host: &str) -> Result<(), &'static str> {
    let (name, port) = match host.rfind('[') {
        Some(0) => {
            let close = host.rfind(']').ok_or("missing ']' in host")?;
            let (address, zone) = host[1..close]
                .split_once("%25")
                .unwrap_or_else(|| (&host[1..close], "0"));
            let zone = unescape(zone)?;
            if zone.is_empty() || address.parse::<Ipv6Addr>().is_err() {
                return Err("invalid IP-literal");
            }
            ("", &host[close + 1..])
        }
        Some(_) => return Err("invalid IP-literal"),
        None => host.split_at(host.rfind(':').unwrap_or(host.len())),
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    if (digits.len() == port.len() && !port.is_empty())
        || !digits.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err("invalid port after host");
    }
    let allowed = |byte: u8| {
        byte >= 0x80 || byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"%".contains(&byte)
    };
    if !name.bytes().all(allowed) {
        return Err("invalid character in host name");
    }
    unescape(name)?;
    // Only bytes beyond ASCII, and the percent sign, may be escaped in a host.
    let escapes = name.split('%').skip(1);
    match escapes
        .into_iter()
        .all(|escape| escape.starts_with("25") || escape.as_bytes()[0] >= b'8')
    {
        true => Ok(()),
        false => Err("invalid URL escape"),
    }
}

fn unescape(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (byte, rest) = part
            .get(..2)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| Some((u8::from_str_radix(digits, 16).ok()?, &part[2..])))
            .ok_or("invalid URL escape")?;
        bytes.push(byte);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_parsed_as_go_does() {
        for (text, path) in [
            ("unix:///var/run/kms.sock", "/var/run/kms.sock"),
            ("UNIX:///a", "/a"),
            ("unix:/a", "/a"),
            ("unix:a/b", ""),
            ("unix:", ""),
            ("unix://", ""),
            ("unix://host/a", "/a"),
            ("unix://@foo", ""),
            ("unix:///@foo", "/@foo"),
            ("unix:///a%20b", "/a b"),
            ("unix:///a b", "/a b"),
            ("unix:///a?q=%zz", "/a"),
            ("unix:///a#f", "/a"),
            ("unix:////a", "//a"),
            ("unix://user:p%41@host:80/a", "/a"),
            ("unix://[::1]:80/a", "/a"),
            ("unix://[fe80::1%25en0]/a", "/a"),
            ("unix://a:b:80/x", "/x"),
        ] {
            let url = parse(text).unwrap();
            assert_eq!(
                (&*url.scheme, &*url.path),
                ("unix", path.as_bytes()),
                "{text}"
            );
        }
        for (text, scheme) in [
            ("/a", ""),
            ("tcp://h", "tcp"),
            ("1unix:x/", "-"),
            ("a/b:c", ""),
            ("///a", ""),
            ("a:b", "a"),
        ] {
            assert_eq!(
                parse(text).map_or_else(|_| "-".into(), |url| url.scheme),
                scheme,
                "{text}"
            );
        }
        for text in [
            ":x",
            "unix:///a%",
            "unix:///a%2",
            "unix:///a%zz",
            "unix:///a\n",
            "unix:///a#%zz",
            "unix://host:x/a",
            "unix://ho st/a",
            "unix://h%41/a",
            "unix://[::1/a",
            "unix://[1.2.3.4]/a",
            "unix://x[::1]/a",
            "unix://us er@h/a",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
