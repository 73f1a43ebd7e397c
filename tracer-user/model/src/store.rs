//! Entities by their number: found in one step however many there are, since every event looks up several.

use foldhash::HashMap;
use std::hash::Hash;

/// Values by identity. The hash is seeded anew in each process.
#[derive(Debug)]
pub(crate) struct Store<K, V> {
    places: HashMap<K, usize>,
    /// Values stay in their place; the table of places is small and moves when it grows.
    values: Vec<Option<V>>,
    free: Vec<usize>,
}

impl<K, V> Default for Store<K, V> {
    fn default() -> Self {
        Self { places: HashMap::default(), values: Vec::new(), free: Vec::new() }
    }
}

impl<K: Copy + Eq + Hash + Ord, V> Store<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.values.get(*self.places.get(key)?)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.values.get_mut(*self.places.get(key)?)?.as_mut()
    }

    /// Puts a value that was not there.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.remove(&key);
        if let Some(place) = self.free.pop() {
            if let Some(free) = self.values.get_mut(place) {
                *free = Some(value);
            }
            self.places.insert(key, place);
        } else {
            self.places.insert(key, self.values.len());
            self.values.push(Some(value));
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let place = self.places.remove(key)?;
        self.free.push(place);
        self.values.get_mut(place)?.take()
    }

    /// Every value, in the order of the identities.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        let mut places: Vec<(&K, &usize)> = self.places.iter().collect();
        places.sort_unstable_by_key(|(key, _)| **key);
        places.into_iter().filter_map(|(_, place)| self.values.get(*place)?.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::Store;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_holds_what_a_map_holds(steps in proptest::collection::vec((any::<bool>(), 0_u8..20, any::<u32>()), 0..200)) {
            let (mut store, mut known) = (Store::default(), BTreeMap::new());
            for (put, key, value) in steps {
                if put {
                    store.insert(key, value);
                    known.insert(key, value);
                } else {
                    prop_assert_eq!(store.remove(&key), known.remove(&key));
                }
                prop_assert_eq!(store.get(&key), known.get(&key));
                prop_assert!(store.values().eq(known.values()));
                prop_assert_eq!(store.values.len(), store.free.len() + known.len());
            }
        }
    }
}
