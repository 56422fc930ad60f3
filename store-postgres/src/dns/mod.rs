//! DNS: which machines' records are due, and what is known of each record.

mod claim;
mod entry;
mod mark;
mod seam;

use claim::{claim, finish, next_due};
use entry::{holder, write};
use mark::{plan, refresh, set_ptr, status};
