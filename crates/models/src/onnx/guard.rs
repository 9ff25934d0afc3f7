//! Panics of foreign code, which become errors without a word on standard error.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// How many guards this thread is inside of.
    static GUARDS: Cell<usize> = const { Cell::new(0) };
}

/// Runs `foreign`. If it panics, gives the panic's message, in one line, and the panic hook says nothing.
///
/// The flag is the thread's own: work that `foreign` gives to other threads must be guarded there.
pub(super) fn guarded<T>(foreign: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A thread that is being torn down has no flag left, and is in no guard.
            if GUARDS.try_with(Cell::get).unwrap_or(0) == 0 {
                before(panic);
            }
        }));
    });
    GUARDS.with(|guards| guards.set(guards.get() + 1));
    let outcome = catch_unwind(AssertUnwindSafe(foreign));
    GUARDS.with(|guards| guards.set(guards.get() - 1));
    outcome.map_err(|panic| message(panic.as_ref()))
}

/// What a panic said, in one short line.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    one_line(text.unwrap_or("no reason given"))
}

/// The text in one line of at most 300 characters: errors of other crates may be longer, and hold whole graphs.
pub(super) fn one_line(text: &str) -> String {
    const MOST: usize = 300;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(guarded(|| 7), Ok(7));
        assert_eq!(
            guarded(|| -> () { panic!("index {}\n out of bounds", 3) }),
            Err("index 3 out of bounds".into())
        );
        let nested = guarded(|| guarded(|| -> () { panic!("inside") }));
        assert_eq!(nested, Ok(Err("inside".into())));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(one_line(&"é".repeat(400)).chars().count(), 301);
    }
}
