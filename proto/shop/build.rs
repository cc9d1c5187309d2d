//! Compiles the shop's `.proto` files, all below this folder, without protoc.
fn main() -> anyhow::Result<()> {
    daybook_codegen::Build::new("..", "shop").compile()
}
