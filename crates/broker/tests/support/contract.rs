//! What every store must do.

use std::collections::BTreeMap;

use latchlight_broker::{Change, Store};

/// Puts a store through it; `open` opens the same one again.
pub fn contract<S: Store>(open: impl Fn() -> S) {
    let key = |number: u64, rest: &[u8]| [&number.to_be_bytes()[..], rest].concat();
    let mut store = open();
    assert!(entries(&mut store).is_empty());
    let long = vec![0xA5; 100_000];
    let puts: Vec<(Vec<u8>, &[u8])> = vec![
        (key(0, b"\x00"), b"\x01"),
        (key(1, &[0]), b""),
        (key(1, &[255]), b"value"),
        (key(1, b"\r\n{}"), &long),
        (key(2, &[0]), b"2"),
        (key(255, &[7]), b"255"),
        (key(256, &[7]), b"256"),
    ];
    store.commit(&mut puts.iter().map(|(key, value)| Change::Put(key, value))).unwrap();
    let expected: BTreeMap<_, _> =
        puts.iter().map(|(key, value)| (key.clone(), value.to_vec())).collect();
    assert_eq!(entries(&mut store), expected);
    drop(store);

    let mut store = open();
    assert_eq!(entries(&mut store), expected);
    // A prefix takes its keys and no others; what is not there can be deleted;
    // a value is replaced.
    let prefixes = [1_u64.to_be_bytes(), 255_u64.to_be_bytes(), 99_u64.to_be_bytes()];
    let (gone, missing, changed) = (key(2, &[0]), key(3, &[0]), key(256, &[7]));
    let changes = [
        Change::DeletePrefix(&prefixes[0]),
        Change::DeletePrefix(&prefixes[1]),
        Change::DeletePrefix(&prefixes[2]),
        Change::Delete(&gone),
        Change::Delete(&missing),
        Change::Put(&changed, b"new"),
    ];
    // The same batch twice is what it is once: an answer may have been lost.
    for _ in 0..2 {
        store.commit(&mut changes.into_iter()).unwrap();
    }
    let left = BTreeMap::from([(key(0, b"\x00"), vec![1]), (changed, b"new".to_vec())]);
    assert_eq!(entries(&mut store), left);
    drop(store);
    assert_eq!(entries(&mut open()), left);

    let many: Vec<_> = (0..5000_u32).map(|number| key(7, &number.to_be_bytes())).collect();
    let mut store = open();
    store.commit(&mut many.iter().map(|key| Change::Put(key, b"x"))).unwrap();
    assert_eq!(entries(&mut store).len(), 5002);
}

/// Everything that a store has.
pub fn entries(store: &mut impl Store) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut twice = 0;
    store
        .restore(&mut |key, value| {
            twice += usize::from(all.insert(key.to_vec(), value.to_vec()).is_some());
        })
        .unwrap();
    assert_eq!(twice, 0);
    all
}
