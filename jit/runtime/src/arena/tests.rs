use super::pages::{Pages, Run};
use super::provider::Provider;
use super::*;
use pepjit_cranelift::{BranchProtection, JITMemoryKind, JITMemoryProvider};

/// An arena of its own for a test, never unmapped (providers want one that lives as long as the process).
fn arena(pages: usize) -> &'static Arena {
    Box::leak(Box::new(Arena::new(pages * page_size())))
}

/// What the system says of the page at an address.
fn rights(address: *const u8) -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut mappings = maps.lines().filter_map(parse_mapping);
    mappings.find(|(range, _)| range.contains(&address.addr())).unwrap().1.to_owned()
}

fn allocate(provider: &mut Provider, size: usize) -> *mut u8 {
    provider.allocate(size, 16, JITMemoryKind::Executable).unwrap()
}

#[test]
fn pages_are_taken_first_fit_and_join_again() {
    let mut pages = Pages::new(10);
    let runs = [pages.take(2).unwrap(), pages.take(3).unwrap(), pages.take(4).unwrap()];
    assert_eq!(runs.map(|run| run.first), [0, 2, 5]);
    assert_eq!(pages.take(2), None);
    pages.give_back(runs[1]);
    assert_eq!(pages.take(1), Some(Run { first: 2, count: 1 }));
    pages.give_back(Run { first: 2, count: 1 });
    pages.give_back(runs[2]);
    pages.give_back(runs[0]);
    assert_eq!(pages.free(), 10);
    assert_eq!(pages.take(10), Some(Run { first: 0, count: 10 }));
}

#[test]
fn a_run_grows_only_into_free_pages() {
    let mut pages = Pages::new(6);
    let (first, second) = (pages.take(2).unwrap(), pages.take(2).unwrap());
    assert_eq!(pages.take_at(first.end(), 1), None);
    assert_eq!(pages.take_at(second.end(), 3), None);
    assert_eq!(pages.take_at(second.end(), 2), Some(Run { first: 4, count: 2 }));
    assert_eq!(pages.free(), 0);
}

#[test]
fn pages_are_writable_then_executable_then_closed() {
    let arena = arena(8);
    let mut provider = Provider::new(arena);
    let code = allocate(&mut provider, 100);
    assert!(rights(code).starts_with("rw-"), "{}", rights(code));
    // SAFETY: 100 bytes were allocated.
    unsafe { code.write_bytes(0xc3, 100) };
    provider.finalize(BranchProtection::None).unwrap();
    assert!(rights(code).starts_with("r-x"), "{}", rights(code));
    assert!(arena.audit());
    drop(provider);
    assert!(rights(code).starts_with("---"), "{}", rights(code));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn code_runs() {
    let mut provider = Provider::new(arena(8));
    let code = allocate(&mut provider, 6);
    // SAFETY: 6 bytes were allocated: mov eax, 42; ret.
    unsafe { code.copy_from_nonoverlapping([0xb8, 42, 0, 0, 0, 0xc3].as_ptr(), 6) };
    provider.finalize(BranchProtection::None).unwrap();
    // SAFETY: the code is a function of this type, and executable.
    let function: extern "C" fn() -> i32 = unsafe { std::mem::transmute(code) };
    assert_eq!(function(), 42);
}

#[test]
fn pieces_of_one_function_share_pages_and_other_functions_do_not() {
    let arena = arena(8);
    let (mut one, mut other) = (Provider::new(arena), Provider::new(arena));
    let (entry, vectorcall) = (allocate(&mut one, 100), allocate(&mut one, 50));
    assert_eq!(vectorcall.addr() - entry.addr(), 128);
    let page = |address: *mut u8| address.addr() / page_size();
    assert_eq!(page(entry), page(vectorcall));
    let next = allocate(&mut other, 100);
    assert_ne!(page(entry), page(next));
    // Other cache lines of the page, lest all functions compete for the same ones.
    assert_ne!(entry.addr() % page_size(), next.addr() % page_size());
    assert_eq!((arena.code_bytes(), arena.code_bytes_reserved()), (250, 2 * page_size()));
}

#[test]
fn a_function_grows_over_pages() {
    let arena = arena(8);
    let mut provider = Provider::new(arena);
    let first = allocate(&mut provider, page_size() - 2 * LINE);
    let second = allocate(&mut provider, page_size());
    assert!(second.addr() - first.addr() < page_size());
    // SAFETY: so many bytes were allocated.
    unsafe { second.write_bytes(0xc3, page_size()) };
    provider.finalize(BranchProtection::None).unwrap();
    // SAFETY: the last byte is the function's, and readable.
    let last = second.wrapping_add(page_size() - 1);
    assert!(rights(last).starts_with("r-x"));
    // What is finished stays so: the next piece gets new pages.
    let third = allocate(&mut provider, 10);
    assert!(rights(third).starts_with("rw-") && rights(last).starts_with("r-x"));
}

#[test]
fn freed_pages_are_used_again() {
    let arena = arena(4);
    for _ in 0..100 {
        let mut provider = Provider::new(arena);
        let code = allocate(&mut provider, 2 * page_size());
        // SAFETY: so many bytes were allocated.
        unsafe { code.write_bytes(0xc3, 2 * page_size()) };
        provider.finalize(BranchProtection::None).unwrap();
        assert_ne!(arena.code_bytes(), 0);
    }
    assert_eq!((arena.code_bytes(), arena.code_bytes_reserved()), (0, 0));
}

#[test]
fn a_full_arena_says_so() {
    let arena = arena(2);
    let mut provider = Provider::new(arena);
    let error = provider.allocate(3 * page_size(), 16, JITMemoryKind::Executable).unwrap_err();
    let full = error.get_ref().and_then(|inner| inner.downcast_ref::<ArenaFull>());
    assert_eq!(full.map(|full| full.bytes), Some(2 * page_size()));
    // What doesn't fit beside the rest doesn't take anything either.
    allocate(&mut provider, page_size());
    assert!(provider.allocate(2 * page_size(), 16, JITMemoryKind::Executable).is_err());
    drop(provider);
    assert_eq!((arena.code_bytes(), arena.code_bytes_reserved()), (0, 0));
}

#[test]
fn data_has_pages_of_its_own() {
    let mut provider = Provider::new(arena(8));
    let code = allocate(&mut provider, 10);
    let constant = provider.allocate(10, 8, JITMemoryKind::ReadOnly).unwrap();
    let variable = provider.allocate(10, 8, JITMemoryKind::Writable).unwrap();
    provider.finalize(BranchProtection::None).unwrap();
    assert_eq!([rights(code), rights(constant), rights(variable)], ["r-xp", "r--p", "rw-p"]);
}

#[test]
fn an_arena_without_address_space_fails_with_the_cause() {
    let arena: &'static Arena = Box::leak(Box::new(Arena::new(1 << 60)));
    let error = Provider::new(arena).allocate(1, 1, JITMemoryKind::Executable).unwrap_err();
    assert!(error.to_string().starts_with("no address space for compiled code"), "{error}");
    assert!(arena.audit());
}

#[test]
fn the_audit_sees_a_page_with_both_rights() {
    let arena = arena(2);
    let run = arena.take(1).unwrap();
    arena.protect(run, libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC).unwrap();
    assert!(!arena.audit());
    arena.protect(run, libc::PROT_READ).unwrap();
    assert!(arena.audit());
}

#[test]
fn sizes_are_mib_within_limits() {
    assert_eq!(parse_size(" 16 "), Ok(16 << 20));
    for wrong in ["", "0", "-1", "64M", "2000"] {
        let error = parse_size(wrong).unwrap_err();
        assert!(error.to_string().contains("from 1 to 1024"), "{error}");
    }
}

#[test]
fn the_process_has_one_arena() {
    let arena = Arena::global();
    let mut provider = provider();
    let code = provider.allocate(10, 16, JITMemoryKind::Executable).unwrap();
    assert!(arena.contains(code.addr() as u64) && !arena.contains(std::ptr::from_ref(arena).addr() as u64));
    assert!(std::ptr::eq(arena, Arena::global()));
}
