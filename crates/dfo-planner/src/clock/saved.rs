//! How the clock is written down, and the stamps that it gave.

use std::fmt;
use std::num::NonZeroU8;

use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Axis, Clock, MOST_VIEWS, Stamp, Time, View};
use crate::saved::is_default;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedClock {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    now: Option<Time>,
    #[serde(default, skip_serializing_if = "is_default")]
    run_start: Since,
    #[serde(default, skip_serializing_if = "is_default")]
    horizon: Since,
    /// In the order of being seen: stamps count them from 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    axes: Vec<SavedAxis>,
    last_view: View,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedAxis {
    view: Box<str>,
    newest: i64,
    #[serde(default, skip_serializing_if = "is_default")]
    run_offset: Offset,
    #[serde(default, skip_serializing_if = "is_default")]
    time_offset: Offset,
    #[serde(default, skip_serializing_if = "is_default")]
    horizon: Since,
}

/// A time that is left out where nothing has happened yet.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Since(Time);

impl Default for Since {
    fn default() -> Self {
        Since(Time::MIN)
    }
}

/// A number of more than 64 bits, as a text: few formats have a place for one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Offset(i128);

/// Windows and times have 64 bits. Offsets beyond so many are no clock's, and could not be added up.
const MOST_BITS: u32 = 100;

impl Clock {
    pub(crate) fn saved(&self) -> SavedClock {
        let mut names: Vec<(&str, View)> = self.views.iter().map(|(n, v)| (&**n, *v)).collect();
        names.sort_unstable_by_key(|(_, view)| view.index());
        let axes = names.into_iter().zip(&self.axes);
        SavedClock {
            now: self.now,
            run_start: Since(self.run_start),
            horizon: Since(self.horizon),
            axes: axes
                .map(|((name, _), axis)| SavedAxis {
                    view: name.into(),
                    newest: axis.newest,
                    run_offset: Offset(axis.run_offset),
                    time_offset: Offset(axis.time_offset),
                    horizon: Since(axis.horizon),
                })
                .collect(),
            last_view: self.last_view,
        }
    }

    pub(crate) fn restored(new_run_below: Option<i64>, saved: SavedClock) -> Result<Self, String> {
        let mut clock = Clock {
            now: saved.now,
            run_start: saved.run_start.0,
            horizon: saved.horizon.0,
            last_view: saved.last_view,
            ..Clock::new(new_run_below)
        };
        for axis in saved.axes {
            let number = u8::try_from(clock.axes.len() + 1).ok();
            let number = number.filter(|n| *n <= MOST_VIEWS).and_then(NonZeroU8::new);
            let Some(number) = number else {
                return Err(format!("axes: more than {MOST_VIEWS}"));
            };
            if clock.views.contains_key(&axis.view) {
                return Err(format!("axes: the view {:?} is there twice", axis.view));
            }
            clock.views.insert(axis.view, View(number));
            clock.axes.push(Axis {
                newest: axis.newest,
                run_offset: axis.run_offset.0,
                time_offset: axis.time_offset.0,
                horizon: axis.horizon.0,
            });
        }
        match clock.has_view(saved.last_view) {
            true => Ok(clock),
            false => Err(format!("last_view: there is no axis {}", saved.last_view.0)),
        }
    }

    /// Whether the stamp can be one of this clock's.
    pub(crate) fn check(&self, stamp: Stamp) -> Result<(), String> {
        match self.has_view(stamp.view) {
            true => Ok(()),
            false => Err(format!(
                "a time on axis {}, which there is not",
                stamp.view.0
            )),
        }
    }

    /// The first one is there before any axis is.
    fn has_view(&self, view: View) -> bool {
        view == View::FIRST || view.index() < self.axes.len()
    }
}

impl Serialize for Offset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Offset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        let offset = text.parse().ok();
        let offset = offset.filter(|offset: &i128| offset.unsigned_abs() >> MOST_BITS == 0);
        offset.map(Offset).ok_or_else(|| {
            let expected = "a whole number of up to 100 bits, in quotes";
            D::Error::invalid_value(Unexpected::Str(&text), &expected)
        })
    }
}

/// A stamp that says everything with its time, as most do, is that number; others are the axis, the
/// place on it, and the time.
impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Stamp {
                view,
                on_axis,
                time,
            } if view == View::FIRST && on_axis == time => serializer.serialize_i64(time),
            Stamp {
                view,
                on_axis,
                time,
            } => (view, on_axis, time).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyStamp)
    }
}

struct AnyStamp;

impl<'de> Visitor<'de> for AnyStamp {
    type Value = Stamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time: a number of windows, or [axis, place on it, time]")
    }

    fn visit_i64<E: Error>(self, time: i64) -> Result<Stamp, E> {
        Ok(Stamp {
            view: View::FIRST,
            on_axis: time,
            time,
        })
    }

    fn visit_u64<E: Error>(self, time: u64) -> Result<Stamp, E> {
        let beyond = |_| E::invalid_value(Unexpected::Unsigned(time), &self);
        let time = i64::try_from(time).map_err(beyond)?;
        self.visit_i64(time)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Stamp, A::Error> {
        let missing = |at| A::Error::invalid_length(at, &AnyStamp);
        let view = parts.next_element()?.ok_or_else(|| missing(0))?;
        let on_axis = parts.next_element()?.ok_or_else(|| missing(1))?;
        let time = parts.next_element()?.ok_or_else(|| missing(2))?;
        Ok(Stamp {
            view,
            on_axis,
            time,
        })
    }
}
