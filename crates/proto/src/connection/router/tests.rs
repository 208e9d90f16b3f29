use super::*;
use crate::socket_io::Codec;

type Fed = Result<Option<Route<u8>>, Violation>;

fn router() -> Router<u8> {
    let decoding = Codec::Default.decoding();
    Router::new(decoding, Revision::Four, PacketLimits::default(), 2)
}

/// A router whose namespace `/` is joined by socket 1.
fn joined() -> Router<u8> {
    let mut router = router();
    router.insert("/".into(), 1);
    router.mark_joined(&1);
    router
}

fn feed(router: &mut Router<u8>, text: &'static str) -> Fed {
    router.feed(Message::Text(text.into()), Starting::Allowed, |_| true)
}

/// Feeds a message while no socket accepts events.
fn hold(router: &mut Router<u8>, text: &'static str) -> Fed {
    router.feed(Message::Text(text.into()), Starting::Allowed, |_| false)
}

/// Takes all that the backlog releases, and describes it.
fn released(router: &mut Router<u8>) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(route) = router.next(Starting::Allowed, |_| true).unwrap() {
        all.push(match route {
            Route::Connect { nsp, .. } => format!("connect {nsp}"),
            Route::Event { socket, id, event } => format!("{socket} {id:?} {}", event.name()),
            Route::Ack { .. } => "ack".to_owned(),
            Route::Leave { socket } => format!("{socket} leaves"),
        });
    }
    all
}

#[test]
fn events_behind_connect_wait_in_order_for_the_handler() {
    let mut router = router();
    assert!(matches!(
        feed(&mut router, "0"),
        Ok(Some(Route::Connect { .. }))
    ));
    router.insert("/".into(), 1);
    assert!(matches!(feed(&mut router, r#"2["a"]"#), Ok(None)));
    assert!(matches!(feed(&mut router, r#"21["b"]"#), Ok(None)));
    assert_eq!(router.backlog().0, 2);
    assert!(released(&mut router).is_empty());
    router.mark_joined(&1);
    assert_eq!(released(&mut router), ["1 None a", "1 Some(1) b"]);
    assert_eq!(router.backlog(), (0, 0));
    assert!(matches!(
        feed(&mut router, r#"2["c"]"#),
        Ok(Some(Route::Event { socket: 1, .. }))
    ));
}

#[test]
fn held_packets_wait_until_they_are_released() {
    let mut router = joined();
    let event = Message::Text(r#"2["a"]"#.into());
    assert!(matches!(
        router.feed(event, Starting::Held, |_| true),
        Ok(None)
    ));
    assert!(router.was_held());
    assert!(matches!(router.next(Starting::Held, |_| true), Ok(None)));
    assert!(router.was_held());
    assert_eq!(released(&mut router), ["1 None a"]);
    assert!(!router.was_held());

    let event = Message::Text(r#"2["a"]"#.into());
    assert!(matches!(
        router.feed(event, Starting::Held, |_| true),
        Ok(None)
    ));
    router.mark_left(&1);
    assert!(!router.was_held(), "nothing waits any more");
}

#[test]
fn the_size_of_the_backlog_is_known() {
    let mut router = joined();
    hold(&mut router, r#"2["a","0123456789"]"#).unwrap();
    assert_eq!(router.backlog(), (1, 19));
    released(&mut router);
    assert_eq!(router.backlog(), (0, 0));
}

#[test]
fn no_event_overtakes_one_that_waits_but_acknowledgements_do() {
    let mut router = joined();
    assert!(matches!(hold(&mut router, r#"2["a"]"#), Ok(None)));
    assert!(matches!(feed(&mut router, r#"2["b"]"#), Ok(None)));
    assert!(matches!(
        feed(&mut router, "37[]"),
        Ok(Some(Route::Ack { id: 7, .. }))
    ));
    assert_eq!(released(&mut router), ["1 None a", "1 None b"]);
}

#[test]
fn a_namespace_does_not_wait_for_another() {
    let mut router = joined();
    router.insert("/b".into(), 2);
    router.mark_joined(&2);
    hold(&mut router, r#"2["a"]"#).unwrap();
    assert!(matches!(
        feed(&mut router, r#"2/b,["b"]"#),
        Ok(Some(Route::Event { socket: 2, .. }))
    ));
    hold(&mut router, r#"2/b,["c"]"#).unwrap();
    let next = router
        .next(Starting::Allowed, |socket| *socket == 2)
        .unwrap();
    assert!(matches!(next, Some(Route::Event { socket: 2, .. })));
    assert_eq!(released(&mut router), ["1 None a"]);
}

#[test]
fn a_disconnect_takes_effect_at_once_and_keeps_earlier_events() {
    let mut router = joined();
    hold(&mut router, r#"2["a"]"#).unwrap();
    assert!(matches!(
        feed(&mut router, "1"),
        Ok(Some(Route::Leave { socket: 1 }))
    ));
    assert!(router.keeps_events_of(&1));
    assert!(matches!(
        feed(&mut router, r#"2["b"]"#),
        Err(Violation::NotJoined)
    ));
    assert_eq!(released(&mut router), ["1 None a"]);
    assert!(!router.keeps_events_of(&1));
}

#[test]
fn a_second_connect_waits_until_the_first_socket_has_ended() {
    let mut router = joined();
    hold(&mut router, r#"2["a"]"#).unwrap();
    feed(&mut router, "1").unwrap();
    for text in ["0", r#"2["b"]"#, "1"] {
        assert!(matches!(feed(&mut router, text), Ok(None)), "{text}");
    }
    assert_eq!(released(&mut router), ["1 None a"]);
    router.remove(&1);
    let next = router.next(Starting::Allowed, |_| true).unwrap();
    assert!(matches!(next, Some(Route::Connect { .. })));
    router.insert("/".into(), 2);
    assert!(released(&mut router).is_empty());
    router.mark_joined(&2);
    assert_eq!(released(&mut router), ["2 None b", "2 leaves"]);
}

#[test]
fn a_closed_connection_keeps_events_and_refuses_connects() {
    let mut router = joined();
    hold(&mut router, r#"2["a"]"#).unwrap();
    feed(&mut router, "1").unwrap();
    feed(&mut router, "0").unwrap();
    feed(&mut router, r#"2["b"]"#).unwrap();
    assert!(router.close().is_empty());
    assert_eq!(released(&mut router), ["1 None a"]);
    router.remove(&1);
    assert!(released(&mut router).is_empty());
}

#[test]
fn events_behind_a_connect_handler_survive_the_client() {
    let mut router = router();
    router.insert("/".into(), 1);
    feed(&mut router, r#"2["a"]"#).unwrap();
    assert_eq!(router.close(), [1]);
    assert!(released(&mut router).is_empty());
    router.mark_joined(&1);
    assert_eq!(released(&mut router), ["1 None a"]);
}

#[test]
fn a_namespace_may_be_joined_again_after_leaving() {
    let mut router = joined();
    assert!(matches!(
        feed(&mut router, "1"),
        Ok(Some(Route::Leave { socket: 1 }))
    ));
    router.remove(&1);
    assert!(matches!(
        feed(&mut router, r#"2["a"]"#),
        Err(Violation::NotJoined)
    ));
    assert!(matches!(
        feed(&mut router, "0"),
        Ok(Some(Route::Connect { .. }))
    ));
}

#[test]
fn a_connect_to_a_joined_namespace_leaves_it_and_joins_anew() {
    let mut router = joined();
    hold(&mut router, r#"2["a"]"#).unwrap();
    assert!(matches!(
        feed(&mut router, r#"0{"n":2}"#),
        Ok(Some(Route::Leave { socket: 1 }))
    ));
    assert!(matches!(feed(&mut router, r#"2["b"]"#), Ok(None)));
    assert_eq!(released(&mut router), ["1 None a"]);
    router.remove(&1);
    let next = router.next(Starting::Allowed, |_| true).unwrap();
    assert!(matches!(next, Some(Route::Connect { auth: Some(_), .. })));
    router.insert("/".into(), 2);
    router.mark_joined(&2);
    assert_eq!(released(&mut router), ["2 None b"]);
}

#[test]
fn a_connect_replaces_one_that_has_not_started_and_what_was_sent_to_it() {
    let mut router = joined();
    feed(&mut router, "0").unwrap();
    for text in [r#"2["a"]"#, r#"0{"n":3}"#, r#"2["b"]"#] {
        assert!(matches!(feed(&mut router, text), Ok(None)), "{text}");
    }
    router.remove(&1);
    let next = router.next(Starting::Allowed, |_| true).unwrap();
    assert!(matches!(next, Some(Route::Connect { auth: Some(auth), .. }) if auth == r#"{"n":3}"#));
    router.insert("/".into(), 2);
    router.mark_joined(&2);
    assert_eq!(released(&mut router), ["2 None b"]);
    assert_eq!(router.backlog(), (0, 0));
}

#[test]
fn a_connect_behind_a_queued_disconnect_keeps_its_order() {
    let mut router = joined();
    feed(&mut router, "1").unwrap();
    for text in ["0", r#"2["a"]"#, "1"] {
        feed(&mut router, text).unwrap();
    }
    router.remove(&1);
    let next = router.next(Starting::Allowed, |_| true).unwrap();
    assert!(matches!(next, Some(Route::Connect { .. })));
    router.insert("/".into(), 2);
    assert!(matches!(feed(&mut router, "0"), Ok(None)));
    router.mark_joined(&2);
    assert_eq!(released(&mut router), ["2 None a", "2 leaves"]);
    router.remove(&2);
    assert_eq!(released(&mut router), ["connect /"]);
}

#[test]
fn a_connect_at_the_limit_of_namespaces_may_be_repeated() {
    let mut router = joined();
    router.insert("/a".into(), 2);
    assert!(matches!(
        feed(&mut router, "0/a,"),
        Ok(Some(Route::Leave { socket: 2 }))
    ));
    router.remove(&2);
    assert_eq!(released(&mut router), ["connect /a"]);
}

#[test]
fn an_event_for_an_unknown_namespace_is_refused_at_once() {
    let mut router = joined();
    let event = Message::Text(r#"2/nowhere,["a"]"#.into());
    let fed = router.feed(event, Starting::Held, |_| true);
    assert!(matches!(fed, Err(Violation::NotJoined)));
}

#[test]
fn requests_for_too_many_namespaces_stop_the_reading() {
    let mut router = joined();
    for n in 0..5 {
        assert!(!router.is_spread());
        let connect = Message::Text(format!("0/{n},").into());
        router.feed(connect, Starting::Held, |_| true).unwrap();
    }
    assert!(router.is_spread());
}

#[test]
fn packets_that_cross_a_disconnect_of_the_server_are_dropped() {
    let mut router = joined();
    hold(&mut router, r#"2["waits"]"#).unwrap();
    router.mark_left(&1);
    assert_eq!(router.backlog(), (0, 0));
    assert!(matches!(feed(&mut router, r#"2["a"]"#), Ok(None)));
    assert!(matches!(feed(&mut router, "1"), Ok(None)));
}

#[test]
fn namespaces_are_limited() {
    let mut router = router();
    router.insert("/".into(), 1);
    router.insert("/a".into(), 2);
    assert!(matches!(
        feed(&mut router, "0/b,"),
        Err(Violation::TooManyNamespaces(2))
    ));
}

#[test]
fn a_refused_socket_leaves_nothing_behind() {
    let mut router = router();
    router.insert("/".into(), 1);
    feed(&mut router, r#"2["a"]"#).unwrap();
    router.remove(&1);
    assert_eq!((router.backlog(), router.close()), ((0, 0), vec![]));
}
