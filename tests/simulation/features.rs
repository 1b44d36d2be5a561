//! What the simulation knows and the engine does not stand yet. It goes when the list is empty.

/// A kind of trouble, or of judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    Always,
    Deeds,
    FaultsOfTheRepairs,
    Reloads,
    Flaps,
    WrongAgreement,
    Warp,
    Zones,
    Rivals,
    Missing,
    Messages,
    Deadlines,
    RefusedAttributes,
    /// A write rests on a list that began at most a minute ago, a delete on one begun for it.
    FreshLists,
    /// Nothing foreign is changed or deleted, and nothing of ours created twice.
    Ownership,
    /// Budget and waits hold whatever happens.
    Waits,
    /// A line that goes back and forth is held.
    FlapRule,
    MaxDeletes,
}

/// Left out until the engine stands them.
const OFF: &[Feature] = &[];

pub fn is_on(feature: Feature) -> bool {
    !OFF.contains(&feature)
}
