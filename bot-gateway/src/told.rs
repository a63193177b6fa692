//! Names of what users are told, under which the store keeps that they were.

/// A top-up was credited.
pub fn top_up(top_up_id: &str) -> String {
    format!("top_up:{top_up_id}")
}

/// A top-up ended without money.
pub fn declined(top_up_id: &str) -> String {
    format!("declined:{top_up_id}")
}

/// An event of billing.
pub fn event(user_id: i64, number: i64) -> String {
    format!("event:{user_id}:{number}")
}

/// How a job ended.
pub fn result(operation_id: &str) -> String {
    format!("result:{operation_id}")
}

/// What an operation had taken came back.
pub fn came_back(operation_id: &str) -> String {
    format!("came_back:{operation_id}")
}

/// A result was repeated.
pub fn again(operation_id: &str) -> String {
    format!("again:{operation_id}")
}
