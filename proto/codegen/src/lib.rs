//! Generates Rust from `.proto` files, without protoc: the messages (prost), and what Daybook's options say of
//! them: message sets, events made of commands, stream ids, checks, the reading of commands in JSON. One call in a `build.rs`.

mod checks;
mod json;
mod rules;
mod sets;
mod shared;
mod texts;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use prost_reflect::DescriptorPool;

/// A request of a `build.rs` to compile `.proto` files.
pub struct Build {
    include: PathBuf,
    folder: String,
    runtime: String,
}

impl Build {
    /// Compiles every `.proto` file below `folder`, a folder of `include`, which is relative to the crate. Files import each other by
    /// their paths from `include` on. A new file needs no word from its `build.rs`.
    pub fn new(include: impl Into<PathBuf>, folder: &str) -> Self {
        Self { include: include.into(), folder: folder.to_owned(), runtime: "::daybook_proto".to_owned() }
    }

    /// Where the generated code finds the traits that it implements: `::daybook_proto`, or `crate` in that crate itself.
    pub fn runtime(mut self, path: &str) -> Self {
        self.runtime = path.to_owned();
        self
    }

    /// Writes `daybook_generated.rs` and `descriptors.bin` to `OUT_DIR`.
    ///
    /// # Errors
    /// When there is no file, one does not compile, or a command's stream id could be shared by two streams.
    pub fn compile(self) -> Result<()> {
        let out = PathBuf::from(std::env::var("OUT_DIR").context("OUT_DIR: call this from a build.rs")?);
        let folder = self.include.join(&self.folder);
        // Cargo looks at all that is below a folder: a file that is new, changed or gone has this run again.
        println!("cargo:rerun-if-changed={}", folder.display());
        let mut files = Vec::new();
        find(&folder, &self.folder, &mut files)?;
        if files.is_empty() {
            bail!("there is no .proto file below {}: name the folder that holds them", folder.display());
        }
        let mut compiler = protox::Compiler::new([&self.include])?;
        compiler.include_imports(true).include_source_info(true);
        for file in &files {
            compiler.open_file(file)?;
        }
        // The set of prost-types drops extensions; the encoded one keeps the options that we read.
        let encoded = compiler.encode_file_descriptor_set();
        let set = compiler.file_descriptor_set();
        let pool = DescriptorPool::decode(encoded.as_slice())?;
        std::fs::write(out.join("descriptors.bin"), &encoded)?;

        let ours: Vec<_> = pool.files().filter(|f| files.iter().any(|name| name == f.name())).collect();
        let packages: BTreeSet<String> = ours.iter().map(|f| f.package_name().to_owned()).collect();

        let mut prost = prost_build::Config::new();
        prost.btree_map(["."]).compile_well_known_types().extern_path(".google.protobuf", "::prost_types");
        if self.runtime != "crate" {
            prost.extern_path(".daybook.v1", "::daybook_proto::v1");
        }
        // Imports too: prost looks their messages up, and writes nothing for those with an extern path.
        prost.skip_protoc_run().out_dir(&out).compile_fds(set)?;

        let all: Vec<_> = ours.iter().flat_map(|f| f.messages()).collect();
        let held = json::held_by_commands(&all)?;
        let mut index = String::new();
        for package in &packages {
            let messages: Vec<_> = ours.iter().filter(|f| f.package_name() == package).flat_map(|f| f.messages()).collect();
            let mut code = checks::generate(&self.runtime, &messages, &held)?;
            code += &sets::generate(&self.runtime, &messages)?;
            std::fs::write(out.join(format!("{package}.daybook.rs")), code)?;
            index += &module(package);
        }
        std::fs::write(out.join("daybook_generated.rs"), merge(&index))?;
        Ok(())
    }
}

/// Adds the `.proto` files below a folder, sorted, named as files import each other: what is generated must not hang on the order in
/// which a file system tells them.
fn find(folder: &Path, name: &str, files: &mut Vec<String>) -> Result<()> {
    let reading = || format!("{}: can't be read", folder.display());
    let mut entries = std::fs::read_dir(folder).with_context(reading)?.collect::<Result<Vec<_>, _>>().with_context(reading)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if path.is_dir() {
            find(&path, &name, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(name);
        }
    }
    Ok(())
}

/// The nested modules of one package, one line, as prost expects them: sibling packages reach each other by `super`.
fn module(package: &str) -> String {
    let mut line = String::new();
    for part in package.split('.') {
        let _ = write!(line, "{part}/");
    }
    line + "\n"
}

/// Turns lines of `a/b/c/` into one tree of modules, so that packages with a common beginning share it.
fn merge(lines: &str) -> String {
    fn tree(prefix: &str, lines: &[Vec<&str>], depth: usize, out: &mut String) {
        let names: BTreeSet<&str> = lines.iter().filter_map(|l| l.get(depth).copied()).collect();
        for name in names {
            let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
            let below: Vec<Vec<&str>> = lines.iter().filter(|l| l.get(depth) == Some(&name)).cloned().collect();
            let _ = writeln!(
                out,
                "/// Generated from package `{path}`.\n#[allow(missing_docs, unreachable_pub, clippy::all)]\npub mod {name} {{"
            );
            if below.iter().any(|l| l.len() == depth + 1) {
                for suffix in ["rs", "daybook.rs"] {
                    let _ = writeln!(out, "include!(concat!(env!(\"OUT_DIR\"), \"/{path}.{suffix}\"));");
                }
            }
            tree(&path, &below, depth + 1, out);
            out.push_str("}\n");
        }
    }
    let split: Vec<Vec<&str>> = lines.lines().map(|l| l.trim_end_matches('/').split('/').collect()).collect();
    let mut out = String::new();
    tree("", &split, 0, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_below_a_folder_are_found_in_order_and_nothing_else() {
        let dir = std::env::temp_dir().join(format!("daybook-codegen-find-{}", std::process::id()));
        for file in ["shop/b/v1/z.proto", "shop/b/v1/a.proto", "shop/a/v1/m.proto", "shop/src/lib.rs", "shop/top.proto", "other/x.proto"] {
            let path = dir.join(file);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
            std::fs::write(path, "").expect("it can be written");
        }
        let mut files = Vec::new();
        find(&dir.join("shop"), "shop", &mut files).expect("it can be read");
        assert_eq!(files, ["shop/a/v1/m.proto", "shop/b/v1/a.proto", "shop/b/v1/z.proto", "shop/top.proto"]);
        let missing = find(&dir.join("none"), "none", &mut files).expect_err("it is not there").to_string();
        assert!(missing.contains("none"), "{missing}");
        std::fs::remove_dir_all(dir).expect("it can be removed");
    }
}
