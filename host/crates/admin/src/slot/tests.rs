use super::{Note, SLOTS_MAX, Slot, all_notes, fnv_1a, notes, stem};
use std::path::Path;

fn note(app_dir: &Path) -> Note {
    Note { app_dir: app_dir.to_owned(), pid: 7, address: "127.0.0.1:1".to_owned(), secret: None }
}

#[test]
fn a_note_is_found_while_its_host_lives() {
    let folder = tempfile::tempdir().unwrap();
    let app = Path::new("/srv/app");
    let (slot, others) = Slot::take(folder.path(), app).unwrap();
    assert_eq!(others, 0);
    assert!(notes(folder.path(), app).is_empty(), "no note yet");
    slot.write(&note(app)).unwrap();
    slot.write(&note(app)).unwrap();
    assert_eq!(notes(folder.path(), app).len(), 1);
    assert_eq!(all_notes(folder.path()).len(), 1);
    assert!(notes(folder.path(), Path::new("/srv/other")).is_empty());
    drop(slot);
    assert!(notes(folder.path(), app).is_empty());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing stays behind");
}

#[test]
fn a_dead_hosts_files_are_no_note_and_make_room() {
    let folder = tempfile::tempdir().unwrap();
    let app = Path::new("/srv/app");
    let left = folder.path().join(stem(app, 0));
    std::fs::write(left.with_extension("lock"), "").unwrap();
    std::fs::write(left.with_extension("json"), serde_json::to_vec(&note(app)).unwrap()).unwrap();
    std::fs::write(left.with_extension("new"), "half").unwrap();
    assert!(notes(folder.path(), app).is_empty());
    let (slot, others) = Slot::take(folder.path(), app).unwrap();
    assert_eq!(others, 0);
    slot.write(&note(app)).unwrap();
    assert_eq!(notes(folder.path(), app).len(), 1);
}

#[test]
fn a_folder_with_the_same_hash_is_another_application() {
    let folder = tempfile::tempdir().unwrap();
    let app = Path::new("/srv/app");
    let (slot, _) = Slot::take(folder.path(), app).unwrap();
    slot.write(&note(Path::new("/srv/collision"))).unwrap();
    assert!(notes(folder.path(), app).is_empty());
}

#[test]
fn a_note_that_is_none_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let app = Path::new("/srv/app");
    let (slot, _) = Slot::take(folder.path(), app).unwrap();
    for text in ["", "{", "[]", "{\"pid\":-1}"] {
        std::fs::write(slot.stem.with_extension("json"), text).unwrap();
        assert!(notes(folder.path(), app).is_empty(), "{text}");
    }
}

#[test]
fn eight_hosts_have_a_place_and_the_ninth_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let app = Path::new("/srv/app");
    let mut slots = Vec::new();
    for number in 0..SLOTS_MAX {
        let (slot, others) = Slot::take(folder.path(), app).unwrap();
        assert_eq!(others, number);
        slot.write(&note(app)).unwrap();
        slots.push(slot);
    }
    assert_eq!(notes(folder.path(), app).len(), SLOTS_MAX);
    let problem = Slot::take(folder.path(), app).err().unwrap();
    assert!(problem.contains("8 hosts run"), "{problem}");
    drop(slots.remove(3));
    assert_eq!(Slot::take(folder.path(), app).unwrap().1, 3);
}

#[test]
fn names_are_short_and_the_same_in_every_build() {
    assert_eq!(fnv_1a(b"foobar"), 0x8594_4171_f739_67e8);
    let app = Path::new("/srv/app");
    assert_eq!(stem(app, 0).len(), 16);
    assert_eq!(stem(app, 7), format!("{}-8", stem(app, 0)));
    assert_ne!(stem(app, 0), stem(Path::new("/srv/apq"), 0));
}
