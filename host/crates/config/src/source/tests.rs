use super::{FILE_BYTES_MAX, File, MARK_BYTES, Position, Source};

fn decoded(bytes: &[u8]) -> Result<String, String> {
    Source::decode(&File::new("f", bytes)).map(|source| source.text().to_owned()).map_err(|problem| problem.to_string())
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

#[test]
fn encodings_are_told_by_mark_then_by_declaration() {
    let text = "<?xml version=\"1.0\" encoding=\"utf-8\"?><ä𝄞/>";
    let with_mark = format!("\u{feff}{text}");
    let table = [
        text.as_bytes().to_vec(),
        with_mark.as_bytes().to_vec(),
        utf16(&with_mark, u16::to_le_bytes),
        utf16(&with_mark, u16::to_be_bytes),
        utf16(text, u16::to_le_bytes),
        utf16(text, u16::to_be_bytes),
    ];
    for bytes in table {
        assert_eq!(decoded(&bytes).as_deref(), Ok(text), "{:?}", bytes.get(..4));
    }
    let latin = b"<?xml version='1.0' encoding = 'iso-8859-1'?><a b='\xe4'/>";
    assert_eq!(decoded(latin).as_deref(), Ok("<?xml version='1.0' encoding = 'iso-8859-1'?><a b='ä'/>"));
    assert_eq!(decoded(b"").as_deref(), Ok(""));
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_place() {
    let table: [(&[u8], &str); 4] = [
        (b"a\n\xc3\xa4b\xff", "f:2:3: error: a byte here is not UTF-8"),
        (b"\xff", "f:1:1: error: a byte here is not UTF-8"),
        (b"\xff\xfea\0\x00\xd8b\0", "f:1:2: error: the text here is not valid UTF-16LE"),
        (b"\xff\xfea\0b", "f:1:2: error: the text here is not valid UTF-16LE"),
    ];
    for (bytes, expected) in table {
        let actual = decoded(bytes).expect_err("the bytes are no text");
        assert!(actual.starts_with(expected), "{actual}");
    }
}

#[test]
fn a_file_at_the_limit_is_read_and_one_byte_more_is_not() {
    assert!(decoded(&vec![b' '; FILE_BYTES_MAX]).is_ok());
    let refused = decoded(&vec![b' '; FILE_BYTES_MAX + 1]).expect_err("over the limit");
    assert!(refused.starts_with("f:1:1: error: the file has 1048577 bytes; at most 1048576 are read"), "{refused}");
}

#[test]
fn positions_count_lines_and_characters_from_one() {
    let source = Source::index("f", "aä𝄞b\r\n\nlast".to_owned());
    let table = [
        (0, 1, 1),
        (1, 1, 2),
        (2, 1, 2),
        (3, 1, 3),
        (7, 1, 4),
        (9, 1, 6),
        (10, 2, 1),
        (11, 3, 1),
        (15, 3, 5),
        (999, 3, 5),
    ];
    for (offset, line, column) in table {
        assert_eq!(source.position(offset), Position { line, column }, "{offset}");
    }
}

#[test]
fn positions_agree_with_plain_counting_across_the_marks() {
    let text = "ä\n𝄞x".repeat(MARK_BYTES);
    let source = Source::index("f", text.clone());
    for (offset, _) in text.char_indices() {
        let before = &text[..offset];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let position = source.position(offset);
        assert_eq!((position.line as usize, position.column as usize), (line, column), "{offset}");
    }
}
