//! What happened, in numbers.
use std::fmt;
use std::ops::AddAssign;

/// The counts of one device, or of the fleet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) obeyed: u64,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) expired: u64,
    pub(super) repeated: u64,
    pub(super) not_genuine: u64,
    pub(super) pictures: u64,
    pub(super) losses: u64,
    pub(super) never_joined: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.obeyed += other.obeyed;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.expired += other.expired;
        self.repeated += other.repeated;
        self.not_genuine += other.not_genuine;
        self.pictures += other.pictures;
        self.losses += other.losses;
        self.never_joined += other.never_joined;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { obeyed, succeeded, failed, expired, repeated, not_genuine, .. } = self;
        let Self { pictures, losses, never_joined, .. } = self;
        write!(
            formatter,
            "commands: {obeyed} obeyed, {succeeded} done, {failed} failed, {expired} came too \
             late, {repeated} came again, {not_genuine} were not genuine\npictures sent: \
             {pictures}; connections lost: {losses}; devices that the server never answered: \
             {never_joined}"
        )
    }
}
