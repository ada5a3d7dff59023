//! A heap that only grows: 1 MiB in the binary itself.

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    ptr,
    sync::atomic::{AtomicUsize, Ordering},
};

const SIZE: usize = 1 << 20;

struct Arena {
    memory: UnsafeCell<[u8; SIZE]>,
    used: AtomicUsize,
}

// SAFETY: every byte is handed out once, by an atomic counter.
unsafe impl Sync for Arena {}

// SAFETY: what is handed out lies inside `memory`, is aligned as asked, and overlaps nothing handed out before.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.memory.get().cast::<u8>();
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let padding = (base as usize + used).wrapping_neg() & (layout.align() - 1);
            let Some(end) = used.checked_add(padding).and_then(|n| n.checked_add(layout.size())) else { return ptr::null_mut() };
            if end > SIZE {
                return ptr::null_mut();
            }
            match self.used.compare_exchange_weak(used, end, Ordering::Relaxed, Ordering::Relaxed) {
                // SAFETY: `used + padding` is at most `SIZE`.
                Ok(_) => return unsafe { base.add(used + padding) },
                Err(now) => used = now,
            }
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ARENA: Arena = Arena { memory: UnsafeCell::new([0; SIZE]), used: AtomicUsize::new(0) };
