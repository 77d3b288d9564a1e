//! The program's allocator, and how it gives back to the system what it has. The
//! only unsafe code of this program: no library wraps the call.
#![allow(unsafe_code)]

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

unsafe extern "C" {
    /// Of mimalloc, which is linked in.
    fn mi_collect(force: bool);
}

/// Gives back what this thread has freed, and others have of what is its own.
pub(crate) fn give_back() {
    // SAFETY: any thread may call it at any time; it frees nothing that is in
    // use.
    unsafe { mi_collect(true) }
}
