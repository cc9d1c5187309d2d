//! Compiles `daybook/v1/*.proto` without protoc.
fn main() -> anyhow::Result<()> {
    daybook_codegen::Build::new("..")
        .file("daybook/v1/options.proto")
        .file("daybook/v1/access.proto")
        .file("daybook/v1/envelope.proto")
        .file("daybook/v1/result.proto")
        .file("daybook/v1/push.proto")
        .runtime("crate")
        .compile()
}
