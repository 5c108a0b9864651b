//! Pieces of text with a tone, as many of them in a line as there is room for.

/// What a piece is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing special.
    Plain,
    /// It gets done.
    Good,
    /// It failed.
    Bad,
    /// It waits.
    Waits,
    /// Beside the point.
    Dim,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[31m",
            Self::Waits => "\x1b[33m",
            Self::Dim => "\x1b[2m",
        }
    }
}

/// A line on its way to the terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line(Vec<(Tone, String)>);

impl Line {
    /// Puts a text right behind the last one.
    pub(crate) fn push(&mut self, tone: Tone, text: impl Into<String>) {
        self.0.push((tone, text.into()));
    }

    /// Puts a text two columns behind the last one.
    pub(crate) fn add(&mut self, tone: Tone, text: impl Into<String>) {
        if self.width() > 0 {
            self.push(Tone::Plain, "  ");
        }
        self.push(tone, text);
    }

    /// The same with the first of these texts for which there is room; none where there is room for none.
    pub(crate) fn add_fitting(&mut self, tone: Tone, texts: &[String], room: usize) {
        let before = if self.width() > 0 { self.width() + 2 } else { 0 };
        if let Some(text) = texts.iter().find(|text| before + text.chars().count() <= room) {
            self.add(tone, text.clone());
        }
    }

    /// Puts another line right behind it.
    pub(crate) fn append(&mut self, line: Self) {
        self.0.extend(line.0);
    }

    /// Columns that it takes.
    pub(crate) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }

    /// As text, with colours or without.
    pub(crate) fn painted(&self, colours: bool) -> String {
        let paint = |(tone, text): &(Tone, String)| match tone.code() {
            "" => text.clone(),
            _ if !colours => text.clone(),
            code => format!("{code}{text}\x1b[0m"),
        };
        self.0.iter().map(paint).collect()
    }

    /// At most so many columns of it.
    pub(crate) fn cut(self, room: usize) -> Self {
        let width = self.width();
        if width <= room {
            return self;
        }
        let (mut left, mut line) = (room.saturating_sub(1), Self::default());
        for (tone, text) in self.0 {
            let text: String = text.chars().take(left).collect();
            left -= text.chars().count();
            line.push(tone, text);
        }
        if room > 0 {
            line.push(Tone::Plain, "…");
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        let mut line = Line::default();
        line.add(Tone::Bad, "2 failed");
        line.add(Tone::Plain, "p50 9 ms");
        line
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        assert_eq!(line().painted(false), "2 failed  p50 9 ms");
        assert_eq!(line().painted(true), "\x1b[31m2 failed\x1b[0m  p50 9 ms");
        assert_eq!((line().width(), line().cut(10).painted(false).as_str()), (18, "2 failed …"));
        assert_eq!(line().cut(0).width(), 0);
    }

    #[test]
    fn what_has_no_room_is_said_shorter_or_not_at_all() {
        let texts = ["a long one".to_owned(), "short".to_owned()];
        for (room, whole) in
            [(30, "2 failed  p50 9 ms  a long one"), (25, "2 failed  p50 9 ms  short"), (24, "2 failed  p50 9 ms")]
        {
            let mut line = line();
            line.add_fitting(Tone::Dim, &texts, room);
            assert_eq!(line.painted(false), whole);
        }
    }
}
