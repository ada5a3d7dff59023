//! The arena hands out what was asked for, to one at a time, and gets all of it back.

#![expect(unsafe_code, reason = "an allocator is called by hand")]

use std::alloc::{GlobalAlloc, Layout};

use proto_core::JitterRng;
use self_test::arena::{Arena, Usage};

const SIZE: usize = 64 * 1024;

/// A block that was handed out, filled with its own mark.
struct Block {
    at: *mut u8,
    layout: Layout,
    mark: u8,
}

impl Block {
    fn take(arena: &Arena<SIZE>, layout: Layout, mark: u8) -> Option<Self> {
        // SAFETY: the layout is not empty.
        let at = unsafe { arena.alloc(layout) };
        if at.is_null() {
            return None;
        }
        assert_eq!(at.align_offset(layout.align()), 0);
        // SAFETY: `layout.size()` bytes at `at` are this block's alone.
        unsafe { at.write_bytes(mark, layout.size()) };
        Some(Self { at, layout, mark })
    }

    /// Checks that nothing else wrote into it, and frees it.
    fn give_back(self, arena: &Arena<SIZE>) {
        // SAFETY: it was handed out with this layout, and filled.
        let bytes = unsafe { std::slice::from_raw_parts(self.at, self.layout.size()) };
        assert!(bytes.iter().all(|byte| *byte == self.mark), "another block overlaps this one");
        // SAFETY: nothing uses it any more.
        unsafe { arena.dealloc(self.at, self.layout) };
    }
}

fn draw(jitter: &mut JitterRng, below: u64) -> usize {
    usize::try_from(jitter.next() % below).unwrap()
}

#[test]
fn blocks_never_overlap_and_all_of_the_arena_comes_back() {
    for seed in 0..50 {
        let arena = Arena::<SIZE>::new();
        let mut jitter = JitterRng::new(seed);
        let mut blocks = Vec::new();
        let mut refused = 0;
        for step in 0..2_000_u32 {
            if blocks.is_empty() || draw(&mut jitter, 100) < 55 {
                let layout = Layout::from_size_align(1 + draw(&mut jitter, 3_000), 1 << draw(&mut jitter, 9)).unwrap();
                match Block::take(&arena, layout, step.to_le_bytes()[0]) {
                    Some(block) => blocks.push(block),
                    None => refused += 1,
                }
            } else {
                let at = draw(&mut jitter, blocks.len() as u64);
                blocks.swap_remove(at).give_back(&arena);
            }
            let live: usize = blocks.iter().map(|block| block.layout.size().next_multiple_of(16)).sum();
            assert_eq!(arena.usage().live, live);
        }
        assert!(refused > 0, "the arena was never full");
        for block in blocks {
            block.give_back(&arena);
        }
        let whole = Layout::from_size_align(SIZE, 16).unwrap();
        Block::take(&arena, whole, 1).expect("free neighbours grew together").give_back(&arena);
        assert_eq!(arena.usage(), Usage { live: 0, peak: SIZE });
    }
}

#[test]
fn a_peak_is_counted_from_where_it_was_reset() {
    let arena = Arena::<SIZE>::new();
    let layout = Layout::from_size_align(100, 8).unwrap();
    let block = Block::take(&arena, layout, 1).unwrap();
    Block::take(&arena, layout, 2).unwrap().give_back(&arena);
    assert_eq!(arena.usage(), Usage { live: 112, peak: 224 });
    arena.reset_peak();
    assert_eq!(arena.usage(), Usage { live: 112, peak: 112 });
    block.give_back(&arena);
    assert_eq!(arena.usage(), Usage { live: 0, peak: 112 });
}
