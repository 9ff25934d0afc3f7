//! `riptide`: tells whether the images that a classifier sees have drifted in a way that hurts it.

fn main() -> std::process::ExitCode {
    riptide_cli::main()
}
