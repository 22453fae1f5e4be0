//! Computes without end in the hook that `x-do` names.
#![forbid(unsafe_code)]

gatelodge_guest_programs::misbehaves!("loop", {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
});
