//! Compiles `daybook/v1/*.proto` without protoc.
fn main() -> anyhow::Result<()> {
    daybook_codegen::Build::new("..", "daybook").runtime("crate").compile()
}
