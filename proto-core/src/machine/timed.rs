//! Children of one kind under one parent, by key, with the next of their deadlines at hand.
//!
//! A parent's deadline is the least of its children's. Asking each of thousands for it after every event would cost more than the
//! event, so the deadlines are kept in order. [`TimedMap::touch`] is the only way to change a child, and files its deadline anew:
//! the order is a function of the children, and cannot drift away from them.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::{
    borrow::Borrow,
    hash::{Hash, Hasher},
};

use crate::{Deadline, Instant, machine::TimerKind};

/// What acts by itself at some time.
pub(crate) trait Timed {
    /// What for.
    type Timer: TimerKind;

    /// When, and why; `None` while it does not. Depends on nothing outside.
    fn deadline(&self) -> Option<Deadline<Self::Timer>>;
}

/// The map. See the [module page](self). Keys are cloned into the order, so they should be cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimedMap<K, C, T> {
    children: BTreeMap<K, C>,
    /// Every child's deadline, the earliest first.
    order: BTreeSet<(Deadline<T>, K)>,
}

impl<K, C, T> TimedMap<K, C, T> {
    pub(crate) const fn new() -> Self {
        Self { children: BTreeMap::new(), order: BTreeSet::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.children.len()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.children.keys()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &C> {
        self.children.values()
    }
}

impl<K: Ord + Clone, C: Timed<Timer = T>, T: TimerKind> TimedMap<K, C, T> {
    /// The earliest of all deadlines.
    pub(crate) fn next_deadline(&self) -> Option<Deadline<T>> {
        self.order.first().map(|(deadline, _)| *deadline)
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&C>
    where
        K: Borrow<Q>,
    {
        self.children.get(key)
    }

    /// The children, by key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &C)> {
        self.children.iter()
    }

    /// The key of a child as it stands in here.
    pub(crate) fn key<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&K>
    where
        K: Borrow<Q>,
    {
        self.children.get_key_value(key).map(|(key, _)| key)
    }

    /// Adds a child, in the place of the one that had the key before.
    pub(crate) fn insert(&mut self, key: &K, child: C) {
        let is = child.deadline();
        let was = self.children.insert(key.clone(), child).and_then(|child| child.deadline());
        self.file(key, was, is);
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<C>
    where
        K: Borrow<Q>,
    {
        let (key, child) = self.children.remove_entry(key)?;
        self.file(&key, child.deadline(), None);
        Some(child)
    }

    /// Lets a child change. `None` when there is none of that key.
    pub(crate) fn touch<Q: Ord + ?Sized, R>(&mut self, key: &Q, change: impl FnOnce(&mut C) -> R) -> Option<R>
    where
        K: Borrow<Q>,
    {
        let child = self.children.get_mut(key)?;
        let was = child.deadline();
        let result = change(child);
        let is = child.deadline();
        if was != is
            && let Some(key) = self.key(key).cloned()
        {
            self.file(&key, was, is);
        }
        Some(result)
    }

    /// The children whose deadlines are over at `now`, by key.
    pub(crate) fn due(&self, now: Instant) -> Vec<K> {
        let mut due: Vec<_> =
            self.order.iter().take_while(|(deadline, _)| deadline.at <= now).map(|(_, key)| key.clone()).collect();
        due.sort_unstable();
        due
    }

    fn file(&mut self, key: &K, was: Option<Deadline<T>>, is: Option<Deadline<T>>) {
        if let Some(was) = was {
            self.order.remove(&(was, key.clone()));
        }
        if let Some(is) = is {
            self.order.insert((is, key.clone()));
        }
    }
}

/// The order follows from the children.
impl<K: Hash, C: Hash, T> Hash for TimedMap<K, C, T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.children.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JitterRng;

    /// A child with this deadline.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Child(Option<u64>);

    impl Timed for Child {
        type Timer = &'static str;

        fn deadline(&self) -> Option<Deadline> {
            self.0.map(|at| Deadline::new(Instant::from_nanos(at), "a test"))
        }
    }

    fn next(map: &TimedMap<u64, Child, &'static str>) -> Option<u64> {
        map.next_deadline().map(|deadline| deadline.at.as_nanos())
    }

    /// L2 for a parent: whatever happens to its children, it knows the least of their deadlines and who is due.
    #[test]
    fn the_next_deadline_and_those_who_are_due_are_what_a_look_at_each_child_gives() {
        let (mut map, mut jitter) = (TimedMap::new(), JitterRng::new(7));
        let mut plain = BTreeMap::new();
        for _ in 0..20_000 {
            let (key, at) = (jitter.next() % 24, (jitter.next() % 3 > 0).then_some(jitter.next() % 50));
            match jitter.next() % 4 {
                0 => {
                    map.insert(&key, Child(at));
                    plain.insert(key, at);
                }
                1 => assert_eq!(map.remove(&key), plain.remove(&key).map(Child)),
                _ => {
                    let was = map.touch(&key, |child| core::mem::replace(&mut child.0, at));
                    assert_eq!(was, plain.get_mut(&key).map(|child| core::mem::replace(child, at)));
                }
            }
            assert_eq!(next(&map), plain.values().filter_map(|at| *at).min());
            let due =
                |now| plain.iter().filter(|(_, at)| at.is_some_and(|at| at <= now)).map(|(key, _)| *key).collect::<Vec<_>>();
            let now = jitter.next() % 60;
            assert_eq!(map.due(Instant::from_nanos(now)), due(now));
        }
        assert!(map.order.len() <= map.len());
    }

    #[test]
    fn of_two_deadlines_at_one_moment_the_reason_that_comes_first_is_given() {
        struct Why(&'static str);
        impl Timed for Why {
            type Timer = &'static str;

            fn deadline(&self) -> Option<Deadline> {
                Some(Deadline::new(Instant::from_nanos(1), self.0))
            }
        }
        let mut map = TimedMap::new();
        map.insert(&1, Why("wait"));
        map.insert(&2, Why("renew"));
        assert_eq!(map.next_deadline().map(Deadline::why), Some("renew"));
    }
}
