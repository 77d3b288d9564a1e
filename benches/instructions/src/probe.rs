//! What is counted, and under which name.

/// Counts the cases that are asked for.
pub struct Probe {
    only: Option<String>,
}

impl Probe {
    pub fn new(only: Option<String>) -> Self {
        Self { only }
    }

    /// Whether one of these cases is wanted: nothing has to be set up
    /// otherwise.
    pub fn wants(&self, names: &[&str]) -> bool {
        let Some(only) = &self.only else { return true };
        names.iter().any(|name| name.contains(only.as_str()))
    }

    /// Ends a case of so many messages: what [`counted`] has enclosed since the
    /// last one is its cost.
    pub fn end(&mut self, name: &str, messages: usize) {
        println!("{name}\t{messages}");
        end_of_case();
    }
}

/// Callgrind counts while this runs. Its name is what callgrind is told to look
/// for, so there is one of it, whatever it is given.
#[inline(never)]
pub fn counted(work: &mut dyn FnMut()) {
    work();
    std::hint::black_box(());
}

/// Callgrind writes down what it has counted when this is called.
#[inline(never)]
fn end_of_case() {
    std::hint::black_box(());
}
