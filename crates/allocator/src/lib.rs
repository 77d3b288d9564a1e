//! The allocator of the programs, mimalloc, and how a thread gives back to the
//! system what it has. A program that calls [`give_back`] has it; libraries
//! leave it to the program.
//!
//! That call, and the one before `main`, are the only unsafe code here: no
//! library wraps them.
#![allow(unsafe_code)]

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

unsafe extern "C" {
    /// Of mimalloc, which is linked in.
    fn mi_collect(force: bool);
}

/// Gives back what this thread has freed, and others have of what is its own.
pub fn give_back() {
    // SAFETY: any thread may call it at any time; it frees nothing that is in
    // use.
    unsafe { mi_collect(true) }
}

/// Has the system give this process no huge pages. mimalloc asks for them, and
/// one of them is 2 MiB of memory for whatever little is in it.
#[cfg(target_os = "linux")]
extern "C" fn use_small_pages() {
    // It fails where there are none.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// The loader calls it before `main`, and before mimalloc takes the first
/// memory, at priority 101 or later: what is huge by then stays so.
// SAFETY: the loader may call what stands here in this way, and it needs
// nothing that is made ready later: it is one system call.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".init_array.00100")]
static AT_FIRST: extern "C" fn() = use_small_pages;

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn there_are_no_huge_pages() {
        assert_eq!(rustix::thread::transparent_huge_pages_are_disabled(), Ok(true));
    }
}
