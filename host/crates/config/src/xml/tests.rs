use super::{ATTRIBUTES_MAX, DEPTH_MAX, Element, read};
use crate::error::{Problems, Report};
use crate::source::Source;

fn tree(text: &str) -> Result<Element, String> {
    let source = Source::index("f", text.to_owned());
    let mut report = Report::new(&source);
    let root = read(&source, &mut report);
    let problems = Problems::new(report.finish()).to_string();
    root.ok_or(problems)
}

#[test]
fn well_formed_files_keep_the_place_of_everything() {
    let root =
        tree("<?xml version=\"1.0\"?>\n<!-- c -->\n<a x = '1>2'\n y=\"a&amp;&#x41;\tb\r\nc\">t<b/></a>\n<!-- end -->")
            .expect("well-formed");
    assert_eq!((root.name.as_str(), root.at), ("a", 33));
    let attributes: Vec<(&str, &str, usize)> = root
        .attributes
        .iter()
        .map(|attribute| (attribute.name.as_str(), attribute.value.as_str(), attribute.at))
        .collect();
    assert_eq!(attributes, [("x", "1>2", 36), ("y", "a&A b c", 47)]);
    assert_eq!(root.children.len(), 1);
    assert!(root.text_at.is_some());
}

#[test]
fn what_is_not_well_formed_is_told_with_its_place() {
    let table = [
        ("", "1:1: error: there is no element"),
        ("plain text", "1:1: error: this is not an XML document"),
        ("b<a/>", "1:1: error: text before the first element"),
        ("<a/>b", "1:5: error: text behind the end"),
        ("<a/>\n\u{feff}", "2:1: error: a byte-order mark in the middle"),
        ("\u{feff}<a/>", "1:1: error: a byte-order mark in the middle"),
        (" <?xml version='1.0'?><a/>", "1:2: error: the XML declaration must be the very first"),
        ("<?xml version='1.1'?><a/>", "1:16: error: XML version `1.1`"),
        ("<?xml version='1.0' x='1'?><a/>", "1:21: error: `x` does not belong"),
        ("<?xml version='1.0'>\n<a/>", "1:1: error: what `<?` opens"),
        ("<a/><b/>", "1:5: error: a second root element"),
        ("<a>", "1:1: error: `<a>` is never closed"),
        ("</a>", "1:1: error: `</a>` closes nothing"),
        ("<a>\n</b>", "2:1: error: `</b>` stands where `</a>` is due (opened in line 1)"),
        ("<a b></a>", "1:5: error: `=\"value\"` is missing behind `b`"),
        ("<a b=c/>", "1:6: error: the value of `b` does not begin with a quote"),
        ("<a b='1'c='2'/>", "1:9: error: a blank is missing before attribute `c`"),
        ("<a b='<'/>", "1:7: error: `<` inside the value of `b`"),
        ("<a b='1' b='2'/>", "1:10: error: attribute `b` stands here twice"),
        ("<a b='1/>", "1:6: error: the value of `b` has no closing quote"),
        ("<a b='&x;'/>", "1:7: error: `&x;` is not known"),
        ("<a b='a&b'/>", "1:8: error: `&` does not begin a character reference"),
        ("<a b='&#0;'/>", "1:7: error: `&#0;` is not known"),
        ("<a b='&#xD800;'/>", "1:7: error: `&#xD800;` is not known"),
        ("<a b='&#+65;'/>", "1:7: error: `&#+65;` is not known"),
        ("<a b='\u{1}'/>", "1:7: error: the character U+0001 is not allowed"),
        ("<a>&x;</a>", "1:4: error: `&x;` is not known"),
        ("<a><!-- x -- y --></a>", "1:11: error: `--` inside a comment"),
        ("<a><!-- x </a>", "1:4: error: this comment is never closed"),
        ("<a><!- x -></a>", "1:4: error: `<!` does not begin a comment"),
        ("<!DOCTYPE a><a/>", "1:1: error: a DOCTYPE is not allowed"),
        ("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", "1:1: error: a DOCTYPE is not allowed"),
        ("<a><1/></a>", "1:4: error: `<` begins no element"),
        ("<a", "1:3: error: this tag has no end"),
    ];
    for (text, expected) in table {
        let actual = tree(text).expect_err(text);
        assert!(actual.starts_with(&format!("f:{expected}")), "{text:?}: {actual}");
    }
}

#[test]
fn depth_and_attributes_are_limited() {
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert!(tree(&nested(DEPTH_MAX)).is_ok());
    assert!(tree(&nested(DEPTH_MAX + 1)).is_err_and(|told| told.contains("nested deeper than 32")));
    let wide = |count: usize| format!("<a{}/>", (0..count).map(|number| format!(" a{number}=''")).collect::<String>());
    assert!(tree(&wide(ATTRIBUTES_MAX)).is_ok());
    assert!(tree(&wide(ATTRIBUTES_MAX + 1)).is_err_and(|told| told.contains("more than 128 attributes")));
}
