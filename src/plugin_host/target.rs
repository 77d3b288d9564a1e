//! Which machine and system a library is for.

use std::fmt;

use object::{Architecture, BinaryFormat, Object as _};

use super::load_error::LoadError;

/// A machine and a system, `x86_64-linux`, by Rust's names for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target(String);

impl Target {
    /// What this server runs on.
    pub(super) fn here() -> Self {
        Self(format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS))
    }

    /// What a text names; that there is such a thing is not said.
    pub(super) fn named(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// What the head of a library says that it is for.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, LoadError> {
        let library = object::File::parse(bytes).map_err(|_| LoadError::NotDynamic)?;
        let machine = match library.architecture() {
            Architecture::X86_64 => "x86_64",
            Architecture::Aarch64 => "aarch64",
            Architecture::Arm => "arm",
            Architecture::I386 => "x86",
            Architecture::Riscv64 => "riscv64",
            Architecture::LoongArch64 => "loongarch64",
            Architecture::PowerPc64 => "powerpc64",
            Architecture::S390x => "s390x",
            other => return Err(LoadError::Unfit(format!("it is for another machine: {other:?}"))),
        };
        let system = match library.format() {
            BinaryFormat::MachO => "macos",
            _ => "linux",
        };
        Ok(Self(format!("{machine}-{system}")))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn a_program_that_runs_here_is_for_here() {
        let program = std::env::current_exe().expect("this program");
        let bytes = std::fs::read(program).expect("read");
        assert_eq!(Target::of(&bytes).expect("a target"), Target::here());
    }
}
