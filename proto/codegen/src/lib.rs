//! Generates Rust from `.proto` files, without protoc: the messages (prost), and what Daybook's options say of
//! them: message sets, stream ids, checks, the reading of commands in JSON. One call in a `build.rs`.

mod checks;
mod json;
mod sets;
mod texts;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use prost_reflect::DescriptorPool;

/// What a `build.rs` wants compiled.
pub struct Build {
    include: PathBuf,
    files: Vec<String>,
    runtime: String,
}

impl Build {
    /// Compiles files below `include`, a folder relative to the crate.
    pub fn new(include: impl Into<PathBuf>) -> Self {
        Self { include: include.into(), files: Vec::new(), runtime: "::daybook_proto".to_owned() }
    }

    /// Adds one file, named as other files would import it.
    pub fn file(mut self, name: &str) -> Self {
        self.files.push(name.to_owned());
        self
    }

    /// Where the generated code finds the traits that it implements: `::daybook_proto`, or `crate` in that crate itself.
    pub fn runtime(mut self, path: &str) -> Self {
        self.runtime = path.to_owned();
        self
    }

    /// Writes `daybook_generated.rs` and `descriptors.bin` to `OUT_DIR`.
    ///
    /// # Errors
    /// When a file does not compile, or when a command's stream id could be shared by two streams.
    pub fn compile(self) -> Result<()> {
        let out = PathBuf::from(std::env::var("OUT_DIR").context("OUT_DIR: call this from a build.rs")?);
        for file in &self.files {
            println!("cargo:rerun-if-changed={}", self.include.join(file).display());
        }
        let mut compiler = protox::Compiler::new([&self.include])?;
        compiler.include_imports(true).include_source_info(true);
        for file in &self.files {
            compiler.open_file(file)?;
        }
        // The set of prost-types drops extensions; the encoded one keeps the options that we read.
        let encoded = compiler.encode_file_descriptor_set();
        let set = compiler.file_descriptor_set();
        let pool = DescriptorPool::decode(encoded.as_slice())?;
        std::fs::write(out.join("descriptors.bin"), &encoded)?;

        let ours: Vec<_> = pool.files().filter(|f| self.files.iter().any(|name| name == f.name())).collect();
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
