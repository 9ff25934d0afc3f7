//! Lets the extension module be linked on macOS, where Python's symbols must be allowed to be missing until it is loaded.

fn main() {
    pyo3_build_config::add_extension_module_link_args();
}
