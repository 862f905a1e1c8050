use std::os::unix::fs::symlink;

use super::*;

fn wanted(entries: &[(&str, &[&str])]) -> BTreeMap<String, Keys> {
    let keys = |keys: &[&str]| match keys {
        [] => Keys::All,
        keys => Keys::These(keys.iter().map(|key| (*key).to_owned()).collect()),
    };
    entries.iter().map(|(name, of)| ((*name).to_owned(), keys(of))).collect()
}

/// A projected volume as the kubelet writes it, with one version of the Secret `kafka`.
fn write_version(volume: &Path, version: &str, password: &str) {
    let folder = volume.join(version).join("kafka");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("username"), "bob").unwrap();
    std::fs::write(folder.join("password"), password).unwrap();
    symlink(version, volume.join("..new")).unwrap();
    std::fs::rename(volume.join("..new"), volume.join("..data")).unwrap();
}

#[test]
fn a_projected_volume_is_read_through_its_links_and_a_swap_is_seen() {
    let volume = tempfile::tempdir().unwrap();
    write_version(volume.path(), "..1", "one\n");
    symlink("..data/kafka", volume.path().join("kafka")).unwrap();
    let secrets = Secrets::Folder(volume.path().to_owned());
    let wanted = wanted(&[("kafka", &["username", "password", "token"])]);
    let before = secrets.read(&wanted);
    let password = SecretKey::new("kafka", "password");
    assert_eq!(before.text(&password), Ok("one"));
    assert_eq!(
        before.text(&SecretKey::new("kafka", "token")).unwrap_err().to_string(),
        "Secret kafka, key token: is not there: add it to the Secret"
    );
    write_version(volume.path(), "..2", "two");
    let after = secrets.read(&wanted);
    assert_eq!(after.text(&password), Ok("two"));
    assert_eq!(after.changed_since(&before), BTreeSet::from(["kafka".to_owned()]));
    let mut back = after.clone();
    assert!(back.go_back("kafka", &before));
    assert_eq!(back, before);
    assert!(!back.go_back("kafka", &before));
}

#[test]
fn all_keys_of_a_secret_are_its_files_and_not_the_volumes_own() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    std::fs::create_dir_all(users.join("..2026")).unwrap();
    std::fs::write(users.join("car-7"), "plain:a").unwrap();
    symlink("..2026", users.join("..data")).unwrap();
    let values = Secrets::Folder(folder.path().to_owned()).read(&wanted(&[("users", &[]), ("absent", &[])]));
    assert_eq!(values.all("users").unwrap().keys().collect::<Vec<_>>(), ["car-7"]);
    assert!(values.all("absent").unwrap_err().to_string().contains("create it"));
}

#[test]
fn given_secrets_yield_what_is_wanted_and_nothing_prints_a_value() {
    let data = Data::from([("password".to_owned(), b"hunter2".to_vec()), ("other".to_owned(), b"x".to_vec())]);
    let secrets = Secrets::Given(Arc::new(Mutex::new(BTreeMap::from([("kafka".to_owned(), data)]))));
    let values = secrets.read(&wanted(&[("kafka", &["password"])]));
    assert_eq!(values.text(&SecretKey::new("kafka", "password")), Ok("hunter2"));
    assert!(values.bytes(&SecretKey::new("kafka", "other")).is_err());
    let printed = format!("{values:?} {secrets:?}");
    assert!(printed.contains("password") && !printed.contains("hunter2"), "{printed}");
}

#[test]
fn text_that_is_none_is_refused_without_being_shown() {
    let data = [("bytes", &b"\xff\xfe"[..]), ("nul", b"a\0b"), ("empty", b"\n")];
    let data = data.into_iter().map(|(key, value)| (key.to_owned(), value.to_vec())).collect();
    let values = Values(BTreeMap::from([("kafka".to_owned(), data)]));
    for (key, problem) in [("bytes", "is not UTF-8"), ("nul", "NUL"), ("empty", "is empty")] {
        let error = values.text(&SecretKey::new("kafka", key)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("Secret kafka, key {key}: ")) && error.contains(problem), "{error}");
    }
}

#[test]
fn what_no_volume_of_the_process_has_is_lacking() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    std::fs::create_dir(folder.path().join("kafka")).unwrap();
    std::fs::write(folder.path().join("kafka/password"), "x").unwrap();
    let secrets = Secrets::Folder(folder.path().to_owned());
    let lacking = |want: &[(&str, &[&str])], asked: &[(&str, &[&str])]| secrets.lacking(&wanted(want), &wanted(asked));
    let nothing: [String; 0] = [];

    assert_eq!(lacking(&[("absent", &["password"])], &[]), ["the Secret `absent`"]);
    assert_eq!(lacking(&[("absent", &[])], &[("kafka", &["password"])]), ["the Secret `absent`"]);
    assert_eq!(lacking(&[("kafka", &["password"])], &[]), nothing);
    // The volume has the keys that were asked for, once the Secret has them.
    assert_eq!(lacking(&[("kafka", &["password", "ca.crt"])], &[("kafka", &["ca.crt"])]), nothing);
    assert_eq!(
        lacking(&[("kafka", &["password", "ca.crt"])], &[("kafka", &["password"])]),
        ["the key `ca.crt` of the Secret `kafka`"]
    );
    assert_eq!(lacking(&[("empty", &[])], &[]), nothing, "mounted: it may come");
    // A plan in force that goes without goes on so.
    assert_eq!(lacking(&[("absent", &["password"])], &[("absent", &["password"])]), nothing);
    assert_eq!(Secrets::Given(Arc::default()).lacking(&wanted(&[("absent", &[])]), &wanted(&[])), nothing);
}
