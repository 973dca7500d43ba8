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
    match host.rfind('[') {
        Some(0) => {
            let close = host.rfind(']').ok_or("missing ']' in host")?;
            check_port(&host[close + 1..])?;
            check_ip(&host[1..close])
        }
        Some(_) => Err("invalid IP-literal"),
        None => {
            check_port(&host[host.rfind(':').unwrap_or(host.len())..])?;
            unescape_host(host, |escaped| escaped >= 0x80 || escaped == b'%').map(drop)
        }
    }
}

fn check_port(port: &str) -> Result<(), &'static str> {
    match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Ok(()),
        None if port.is_empty() => Ok(()),
        _ => Err("invalid port after host"),
    }
}

/// An address of IPv6; a zone follows behind an escaped percent sign.
fn check_ip(literal: &str) -> Result<(), &'static str> {
    let (address, zone) = literal.split_at(literal.find("%25").unwrap_or(literal.len()));
    let address = unescape_host(address, |escaped| escaped >= 0x80 || escaped == b'%')?;
    // What a zone may not hold as it is, it may not hold escaped; but for blanks, as in Windows.
    let zone = unescape_host(zone, |escaped| {
        escaped == b'%' || escaped == b' ' || is_host_byte(escaped)
    })?;
    let address = str::from_utf8(&address)
        .ok()
        .and_then(|text| text.parse::<Ipv6Addr>().ok());
    match (address, zone.len()) {
        // A percent sign with nothing behind.
        (None, _) | (_, 1) => Err("invalid IP-literal"),
        _ => Ok(()),
    }
}

fn is_host_byte(byte: u8) -> bool {
    byte >= 0x80 || byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte)
}

/// Unescapes a part of a host, in which not every byte may be escaped.
fn unescape_host(text: &str, may_be_escaped: fn(u8) -> bool) -> Result<Vec<u8>, &'static str> {
    if !text.bytes().all(|byte| byte == b'%' || is_host_byte(byte)) {
        return Err("invalid character in host name");
    }
    let bytes = unescape(text)?;
    let escapes = text.split('%').skip(1);
    let allowed = escapes
        .filter_map(|escape| u8::from_str_radix(escape.get(..2)?, 16).ok())
        .all(may_be_escaped);
    match allowed {
        true => Ok(bytes),
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
            ("unix://[fe80::1%25e%20n]/a", "/a"),
            ("unix://[fe80::1%25%41]/a", "/a"),
            ("unix://[::ffff:1.2.3.4]/a", "/a"),
            ("unix://a:b:80/x", "/x"),
            ("unix://h%25/a", "/a"),
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
            "unix://[::1%25]/a",
            "unix://[fe80::1%en0]/a",
            "unix://[fe80::1%25e^n]/a",
            "unix://[fe80::1%25e%2fn]/a",
            "unix://[::%31]/a",
            "unix://[::1]x/a",
            "unix://x[::1]/a",
            "unix://us er@h/a",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
