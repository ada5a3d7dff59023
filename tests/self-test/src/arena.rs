//! A heap of fixed size in the binary itself, for where there is none: first fit, and free neighbours grow together. It counts
//! what is in use, which is what the memory figures are made of.

#![expect(unsafe_code, reason = "an allocator hands out raw memory")]

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    ptr,
    sync::atomic::{AtomicBool, Ordering},
};

/// Every block is a multiple of this, and aligned to it. A free block's header fits in.
const GRAIN: usize = 16;

/// `SIZE` bytes to allocate from; a multiple of 16.
#[derive(Debug)]
pub struct Arena<const SIZE: usize> {
    memory: UnsafeCell<Memory<SIZE>>,
    heap: UnsafeCell<Heap>,
    locked: AtomicBool,
}

#[derive(Debug)]
#[repr(C, align(16))]
struct Memory<const SIZE: usize>([u8; SIZE]);

/// How many bytes are handed out, in whole blocks of 16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Now.
    pub live: usize,
    /// At most, since [`Arena::reset_peak`].
    pub peak: usize,
}

// SAFETY: both cells are touched only between `lock` and `unlock`, and a handed out block is touched by its owner alone.
unsafe impl<const SIZE: usize> Sync for Arena<SIZE> {}

impl<const SIZE: usize> Default for Arena<SIZE> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const SIZE: usize> Arena<SIZE> {
    /// All of it free.
    pub const fn new() -> Self {
        const { assert!(SIZE.is_multiple_of(GRAIN) && SIZE > 0) };
        Self {
            memory: UnsafeCell::new(Memory([0; SIZE])),
            heap: UnsafeCell::new(Heap { first: ptr::null_mut(), is_ready: false, usage: Usage { live: 0, peak: 0 } }),
            locked: AtomicBool::new(false),
        }
    }

    /// What is in use.
    pub fn usage(&self) -> Usage {
        self.with(|heap| heap.usage)
    }

    /// Forgets how much was ever in use at once, and begins again with what is in use now.
    pub fn reset_peak(&self) {
        self.with(|heap| heap.usage.peak = heap.usage.live);
    }

    fn with<T>(&self, work: impl FnOnce(&mut Heap) -> T) -> T {
        while self.locked.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            core::hint::spin_loop();
        }
        // SAFETY: the lock is held, so there is no other reference to the heap.
        let heap = unsafe { &mut *self.heap.get() };
        if !heap.is_ready {
            heap.is_ready = true;
            // SAFETY: all of the memory belongs to the arena, nothing of it was handed out, and it is aligned to `GRAIN`.
            unsafe { heap.give_back(self.memory.get().cast(), SIZE) };
        }
        let result = work(heap);
        self.locked.store(false, Ordering::Release);
        result
    }
}

// SAFETY: `Heap` hands out blocks that lie inside `memory`, are aligned as asked, and do not overlap.
unsafe impl<const SIZE: usize> GlobalAlloc for Arena<SIZE> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(size) = whole_grains(layout) else { return ptr::null_mut() };
        self.with(|heap| {
            // SAFETY: the heap's list is sound, and `size` is a multiple of `GRAIN`.
            let block = unsafe { heap.take(size, layout.align()) };
            if !block.is_null() {
                heap.usage.live += size;
                heap.usage.peak = heap.usage.peak.max(heap.usage.live);
            }
            block
        })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(size) = whole_grains(layout) else { return };
        self.with(|heap| {
            // SAFETY: the caller gives back what `alloc` handed out for this layout: `size` bytes, aligned to `GRAIN`.
            unsafe { heap.give_back(block, size) };
            heap.usage.live -= size;
        });
    }
}

fn whole_grains(layout: Layout) -> Option<usize> {
    layout.size().max(1).checked_next_multiple_of(GRAIN)
}

/// What stands at the beginning of a free block.
struct Free {
    size: usize,
    next: *mut Free,
}

/// The free blocks, in the order of their addresses; no two of them touch.
#[derive(Debug)]
struct Heap {
    first: *mut Free,
    is_ready: bool,
    usage: Usage,
}

impl Heap {
    /// Takes `size` bytes out of the first block in which they fit; null when there is none.
    ///
    /// # Safety
    /// `size` is a multiple of `GRAIN`, `align` a power of two.
    unsafe fn take(&mut self, size: usize, align: usize) -> *mut u8 {
        let mut link: *mut *mut Free = &raw mut self.first;
        // SAFETY: `link` points to `first` or to the `next` of a free block; every block of the list is free and ours, so its
        // header may be read and written. The pieces that a block is cut into lie inside of it and are multiples of `GRAIN`.
        unsafe {
            while !(*link).is_null() {
                let block = *link;
                let Free { size: room, next } = block.read();
                let padding = block.cast::<u8>().align_offset(align);
                if let Some(rest) = padding.checked_add(size).and_then(|used| room.checked_sub(used)) {
                    let taken = block.cast::<u8>().add(padding);
                    let mut after = next;
                    if rest > 0 {
                        after = header(taken.add(size));
                        after.write(Free { size: rest, next });
                    }
                    if padding > 0 {
                        block.write(Free { size: padding, next: after });
                    } else {
                        *link = after;
                    }
                    return taken;
                }
                link = &raw mut (*block).next;
            }
        }
        ptr::null_mut()
    }

    /// Puts a block into the list, and joins it with the neighbours that it touches.
    ///
    /// # Safety
    /// The `size` bytes at `block` belong to the arena alone; both are multiples of `GRAIN`.
    unsafe fn give_back(&mut self, block: *mut u8, mut size: usize) {
        let mut before: *mut Free = ptr::null_mut();
        let mut next = self.first;
        let block = header(block);
        // SAFETY: as in `take`; `block` is the arena's from here on.
        unsafe {
            while !next.is_null() && next < block {
                before = next;
                next = (*next).next;
            }
            if !next.is_null() && end(block, size) == next {
                size += (*next).size;
                next = (*next).next;
            }
            if !before.is_null() && end(before, (*before).size) == block {
                (*before).size += size;
                (*before).next = next;
            } else {
                block.write(Free { size, next });
                if before.is_null() { self.first = block } else { (*before).next = block }
            }
        }
    }
}

/// The header of the free block at `block`, which is aligned to `GRAIN`.
const fn header(block: *mut u8) -> *mut Free {
    block.cast()
}

const fn end(block: *mut Free, size: usize) -> *mut Free {
    header(block.cast::<u8>().wrapping_add(size))
}
