//! Images that are made without a container engine: what is in the archive is what a node will run.
//!
//! The programs of a release are built by `scripts/build-static.sh`, which takes minutes; here a small static program
//! takes their place, through the same script that makes the real images.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, ensure};
use isthmus_tests::{Result, environment};
use serde_json::Value;
use tempfile::TempDir;

fn run(program: impl AsRef<Path>, arguments: &[&str]) -> Result<Output> {
    let program = program.as_ref();
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    output.with_context(|| format!("cannot run {}", program.display()))
}

fn succeed(program: impl AsRef<Path>, arguments: &[&str]) -> Result<String> {
    let output = run(program, arguments)?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("an unusual folder")
}

fn sha256(file: &Path) -> Result<String> {
    let line = succeed("sha256sum", &[path(file)?])?;
    Ok(format!("sha256:{}", line.split(' ').next().unwrap_or_default()))
}

/// What `build-static.sh` leaves, with another program.
fn programs() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let source = folder.path().join("program.c");
    fs::write(&source, "#include <stdio.h>\nint main(void) { puts(\"started\"); return 0; }\n")?;
    for (image, program) in [("operator", "isthmus-operator"), ("runtime", "isthmus")] {
        let image = folder.path().join(image);
        fs::create_dir_all(&image)?;
        succeed("cc", &["-static", "-o", path(&image.join(program))?, path(&source)?])?;
    }
    let certificates = folder.path().join("runtime/etc/ssl/certs");
    fs::create_dir_all(&certificates)?;
    fs::write(certificates.join("ca-certificates.crt"), "certificates\n")?;
    Ok(folder)
}

fn images(programs: &Path, out: &Path) -> Result<String> {
    let arguments =
        ["--arch", "amd64", "--registry", "isthmus.test", "--tag", "dev", "--programs", path(programs)?, path(out)?];
    succeed(environment::checkout("scripts/images.sh"), &arguments)
}

/// The unpacked archive of an image.
struct Layout(TempDir);

impl Layout {
    fn of(archive: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        succeed("tar", &["--extract", "--file", path(archive)?, "--directory", path(folder.path())?])?;
        Ok(Self(folder))
    }

    fn json(&self, name: &str) -> Result<Value> {
        Ok(serde_json::from_slice(&fs::read(self.0.path().join(name))?)?)
    }

    /// The file of a descriptor, after a look at its digest and its size.
    fn blob(&self, descriptor: &Value) -> Result<PathBuf> {
        let digest = descriptor["digest"].as_str().context("no digest")?;
        let file = self.0.path().join("blobs").join(digest.replace(':', "/"));
        ensure!(sha256(&file)? == digest, "{digest} is not the digest of its content");
        ensure!(Some(fs::metadata(&file)?.len()) == descriptor["size"].as_u64(), "{digest} has another size");
        Ok(file)
    }

    fn blob_json(&self, descriptor: &Value) -> Result<Value> {
        Ok(serde_json::from_slice(&fs::read(self.blob(descriptor)?)?)?)
    }
}

#[test]
fn an_archive_is_an_oci_layout_whose_digests_are_true() -> Result<()> {
    let programs = programs()?;
    let out = tempfile::tempdir()?;
    images(programs.path(), out.path())?;
    for (archive, entrypoint, files) in [
        ("isthmus-operator", "/isthmus-operator", &["isthmus-operator"][..]),
        ("isthmus", "/isthmus", &["etc/ssl/certs/ca-certificates.crt", "isthmus"]),
    ] {
        let layout = Layout::of(&out.path().join(format!("{archive}.tar")))?;
        assert_eq!(layout.json("oci-layout")?["imageLayoutVersion"], "1.0.0");
        let index = layout.json("index.json")?;
        let descriptor = &index["manifests"][0];
        assert_eq!(index["manifests"].as_array().map(Vec::len), Some(1));
        assert_eq!(descriptor["annotations"]["io.containerd.image.name"], format!("isthmus.test/{archive}:dev"));
        assert_eq!(descriptor["annotations"]["org.opencontainers.image.ref.name"], "dev");
        assert_eq!(descriptor["platform"]["architecture"], "amd64");

        let manifest = layout.blob_json(descriptor)?;
        let config = layout.blob_json(&manifest["config"])?;
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["config"]["Entrypoint"], serde_json::json!([entrypoint]));
        assert_eq!((&config["os"], &config["architecture"]), (&"linux".into(), &"amd64".into()));

        let layer = layout.blob(&manifest["layers"][0])?;
        let plain = layout.0.path().join("layer.tar");
        fs::write(&plain, run("gzip", &["--decompress", "--stdout", path(&layer)?])?.stdout)?;
        assert_eq!(config["rootfs"]["diff_ids"], serde_json::json!([sha256(&plain)?]));
        let root = tempfile::tempdir()?;
        succeed("tar", &["--extract", "--file", path(&plain)?, "--directory", path(root.path())?])?;
        let listed = succeed("tar", &["--list", "--verbose", "--numeric-owner", "--file", path(&plain)?])?;
        assert!(listed.lines().all(|line| line.contains(" 0/0 ")), "{listed}");
        for file in files {
            assert!(root.path().join(file).is_file(), "no {file} in\n{listed}");
        }
        assert_eq!(listed.lines().filter(|line| line.starts_with('-')).count(), files.len(), "{listed}");
        let program = root.path().join(&entrypoint[1..]);
        assert_eq!(fs::metadata(&program)?.permissions().mode() & 0o777, 0o755);
        assert_eq!(succeed(&program, &[])?, "started\n");
    }
    Ok(())
}

#[test]
fn the_same_programs_make_the_same_archive() -> Result<()> {
    let programs = programs()?;
    let (first, second) = (tempfile::tempdir()?, tempfile::tempdir()?);
    images(programs.path(), first.path())?;
    fs::write(programs.path().join("operator/touched"), "")?;
    fs::remove_file(programs.path().join("operator/touched"))?;
    images(programs.path(), second.path())?;
    for archive in ["isthmus-operator.tar", "isthmus.tar"] {
        assert_eq!(sha256(&first.path().join(archive))?, sha256(&second.path().join(archive))?, "{archive}");
    }
    Ok(())
}

#[test]
fn an_image_without_its_program_is_not_made() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out.tar");
    let script = environment::checkout("scripts/oci-archive.sh");
    let output = run(script, &[path(folder.path())?, "isthmus", "isthmus.test/isthmus:dev", "amd64", path(&out)?])?;
    assert!(!output.status.success() && !out.exists());
    assert!(String::from_utf8_lossy(&output.stderr).contains("the entrypoint isthmus is no program"), "{output:?}");
    Ok(())
}

#[test]
fn an_architecture_without_images_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let output = run(environment::checkout("scripts/build-static.sh"), &[path(folder.path())?, "s390x"])?;
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("no image for the architecture s390x: choose amd64 or arm64"), "{error}");
    Ok(())
}

#[test]
fn the_containerfile_and_the_archives_agree() -> Result<()> {
    let text = fs::read_to_string(environment::checkout("Containerfile"))?;
    for line in [
        "RUN scripts/build-static.sh /images ${TARGETARCH}",
        "FROM scratch AS operator",
        "COPY --from=build /images/operator/ /",
        "ENTRYPOINT [\"/isthmus-operator\"]",
        "FROM scratch AS runtime",
        "COPY --from=build /images/runtime/ /",
        "ENTRYPOINT [\"/isthmus\"]",
    ] {
        assert_eq!(text.lines().filter(|found| *found == line).count(), 1, "{line}");
    }
    assert_eq!(text.matches("USER 65532:65532").count(), 2);
    Ok(())
}
