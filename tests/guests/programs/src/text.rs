//! Selectors and edits as settings write them.

use gatelodge_sdk::{Edit, Header, Selector};

/// `method`, `header:accept`, `named:later`.
///
/// # Errors
/// No selector of the contract.
pub fn selector(text: &str) -> Result<Selector, String> {
    let (kind, name) = text.split_once(':').map_or((text, None), |(kind, name)| (kind, Some(name.to_owned())));
    Ok(match (kind, name) {
        ("method", None) => Selector::Method,
        ("scheme", None) => Selector::Scheme,
        ("authority", None) => Selector::Authority,
        ("path", None) => Selector::Path,
        ("query", None) => Selector::Query,
        ("header", Some(name)) => Selector::Header(name),
        ("cookie", Some(name)) => Selector::Cookie(name),
        ("query-param", Some(name)) => Selector::QueryParam(name),
        ("client-ip", None) => Selector::ClientIp,
        ("sni", None) => Selector::Sni,
        ("request-id", None) => Selector::RequestId,
        ("route", None) => Selector::Route,
        ("upgrade", None) => Selector::Upgrade,
        ("subject", None) => Selector::Subject,
        ("claim", Some(name)) => Selector::Claim(name),
        ("attribute", Some(name)) => Selector::Attribute(name),
        ("note", None) => Selector::Note,
        ("status", None) => Selector::Status,
        ("response-header", Some(name)) => Selector::ResponseHeader(name),
        ("response-source", None) => Selector::ResponseSource,
        ("named", Some(name)) => Selector::Named(name),
        _ => return Err(format!("no selector: {text}")),
    })
}

/// `set x-a=1`, `append x-a=1`, `remove x-a`, `lines x-a=1|2`, `slot 0=1`, `target /a?b`,
/// `method PUT`, `authority a.example`, `status 204`, `named later=1`.
///
/// # Errors
/// No edit of the contract.
pub fn edit(text: &str) -> Result<Edit, String> {
    let (kind, rest) = text.split_once(' ').ok_or_else(|| format!("no edit: {text}"))?;
    let (name, value) = rest.split_once('=').unwrap_or((rest, ""));
    let (name, bytes) = (name.to_owned(), value.as_bytes().to_vec());
    let number = |text: &str| text.parse::<u16>().map_err(|_| format!("no number: {text}"));
    Ok(match kind {
        "set" => Edit::Set(Header { name, value: bytes }),
        "append" => Edit::Append(Header { name, value: bytes }),
        "remove" => Edit::Remove(rest.to_owned()),
        "lines" if value.is_empty() => Edit::SetLines((name, Vec::new())),
        "lines" => Edit::SetLines((name, value.split('|').map(|line| line.as_bytes().to_vec()).collect())),
        "slot" => Edit::SetSlot((number(&name)?.into(), bytes)),
        "target" => Edit::PathAndQuery(rest.to_owned()),
        "method" => Edit::Method(rest.to_owned()),
        "authority" => Edit::Authority(rest.to_owned()),
        "status" => Edit::Status(number(rest)?),
        "named" => Edit::Named((name, bytes)),
        _ => return Err(format!("no edit: {text}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_selectors_and_edits() {
        assert!(matches!(selector("header:a:b"), Ok(Selector::Header(name)) if name == "a:b"));
        assert!(selector("header").is_err() && selector("method:x").is_err());
        assert!(matches!(edit("set a=b=c"), Ok(Edit::Set(line)) if line.name == "a" && line.value == b"b=c"));
        assert!(matches!(edit("slot 1=v"), Ok(Edit::SetSlot((1, _)))));
        assert!(matches!(edit("lines a=1|2"), Ok(Edit::SetLines((_, lines))) if lines.len() == 2));
        assert!(matches!(edit("target /a?b=c"), Ok(Edit::PathAndQuery(target)) if target == "/a?b=c"));
        assert!(edit("jump x").is_err() && edit("status x").is_err() && edit("set").is_err());
    }
}
