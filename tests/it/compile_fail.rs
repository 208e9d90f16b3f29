//! What the compiler says of handlers that are none.

#[test]
fn wrong_handlers_are_explained() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
