//! Values of attributes: booleans, numbers, time spans.

use super::Context;
use crate::error::did_you_mean;
use crate::source::Setting;
use crate::xml::Element;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// `true` or `false` in any case, as IIS reads them.
pub(super) fn boolean(ctx: &mut Context<'_>, element: &Element, name: &str, default: bool) -> Setting<bool> {
    let Some(attribute) = element.attribute(name) else {
        return Setting::default_value(default);
    };
    let at = ctx.position(attribute.at);
    if attribute.value.eq_ignore_ascii_case("true") {
        return Setting::set(true, at);
    }
    if attribute.value.eq_ignore_ascii_case("false") {
        return Setting::set(false, at);
    }
    let what = format!("`{}` is neither true nor false", attribute.value);
    ctx.error(attribute.value_at, what, format!("write {name}=\"true\" or {name}=\"false\""));
    Setting::default_value(default)
}

/// An unsigned number within a range; `unit` is for the message.
pub(super) fn number<N>(
    ctx: &mut Context<'_>,
    element: &Element,
    (name, unit): (&str, &str),
    range: &RangeInclusive<N>,
    default: N,
) -> Setting<N>
where
    N: FromStr + PartialOrd + Display + Copy,
{
    let Some(attribute) = element.attribute(name) else {
        return Setting::default_value(default);
    };
    let at = ctx.position(attribute.at);
    let digits = attribute.value.bytes().all(|byte| byte.is_ascii_digit());
    match attribute.value.parse::<N>() {
        Ok(value) if digits && range.contains(&value) => return Setting::set(value, at),
        _ => {}
    }
    let kind = if digits && !attribute.value.is_empty() { "out of range" } else { "not a number" };
    let what = format!("{name}=\"{}\" is {kind}", attribute.value);
    let help =
        format!("write a whole number of {unit} from {} to {}; the default is {default}", range.start(), range.end());
    ctx.error(attribute.value_at, what, help);
    Setting::default_value(default)
}

/// A span of time `[d.]hh:mm:ss` in seconds.
pub(super) fn seconds(ctx: &mut Context<'_>, element: &Element, name: &str, max: u64, default: u64) -> Setting<u64> {
    let Some(attribute) = element.attribute(name) else {
        return Setting::default_value(default);
    };
    let at = ctx.position(attribute.at);
    let problem = match time_span(&attribute.value) {
        Ok(value) if value <= max => return Setting::set(value, at),
        Ok(value) => format!("is {value} seconds, more than {max}"),
        Err(reason) => reason.to_owned(),
    };
    let what = format!("{name}=\"{}\" {problem}", attribute.value);
    ctx.error(
        attribute.value_at,
        what,
        "write hours:minutes:seconds, with days in front if need be: 00:02:00 or 1.00:00:00",
    );
    Setting::default_value(default)
}

/// Seconds of `[d.]hh:mm:ss`; hours below 24, minutes and seconds below 60.
fn time_span(text: &str) -> Result<u64, &'static str> {
    let (days, clock) = text.split_once('.').unwrap_or(("0", text));
    let part = |digits: &str, longest: usize| -> Option<u64> {
        let fits = (1..=longest).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| digits.parse().ok()).flatten()
    };
    let mut parts = clock.split(':');
    let (Some(hours), Some(minutes), Some(seconds), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("is not a span of time");
    };
    let (Some(days), Some(hours), Some(minutes), Some(seconds)) =
        (part(days, 8), part(hours, 2), part(minutes, 2), part(seconds, 2))
    else {
        return Err("is not a span of time");
    };
    if hours > 23 {
        return Err("has more than 23 hours: write days in front");
    }
    if minutes > 59 || seconds > 59 {
        return Err("has more than 59 minutes or seconds");
    }
    Ok(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
}

/// One of several words, any case. Gives its index.
pub(super) fn word(ctx: &mut Context<'_>, element: &Element, name: &str, words: &[&str]) -> Option<usize> {
    let attribute = element.attribute(name)?;
    let found = words.iter().position(|word| word.eq_ignore_ascii_case(attribute.value.trim()));
    if found.is_none() {
        let what = format!("{name}=\"{}\" is not known", attribute.value);
        ctx.error(attribute.value_at, what, did_you_mean(&attribute.value, words));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::time_span;

    #[test]
    fn time_spans_are_read_as_dotnet_writes_them() {
        let table: [(&str, Result<u64, ()>); 14] = [
            ("00:02:00", Ok(120)),
            ("23:00:00", Ok(82_800)),
            ("15.00:00:00", Ok(1_296_000)),
            ("0:0:5", Ok(5)),
            ("00:00:59", Ok(59)),
            ("00:00:60", Err(())),
            ("00:60:00", Err(())),
            ("24:00:00", Err(())),
            ("120", Err(())),
            ("", Err(())),
            ("-00:00:01", Err(())),
            ("1.2.00:00:00", Err(())),
            ("00:02:00.5", Err(())),
            ("99999999999.00:00:00", Err(())),
        ];
        for (text, expected) in table {
            assert_eq!(time_span(text).map_err(|_| ()), expected, "{text}");
        }
    }
}
