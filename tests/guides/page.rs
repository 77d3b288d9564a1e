//! A page of the documentation, and the blocks of code in it.

/// A page's text.
pub(crate) struct Page(pub(crate) &'static str);

impl Page {
    /// All blocks with this mark, one after the other.
    pub(crate) fn blocks(&self, mark: &str) -> Vec<&'static str> {
        let fence = format!("```{mark}\n");
        let Self(text) = self;
        let blocks = text.split(&*fence).skip(1);
        blocks.map(|block| block.split("```").next().unwrap()).collect()
    }

    /// The only block with this mark.
    pub(crate) fn block(&self, mark: &str) -> &'static str {
        let blocks = self.blocks(mark);
        assert_eq!(blocks.len(), 1, "{mark}");
        blocks[0]
    }

    /// Every mark that there is: what is not run by a test is seen by it.
    pub(crate) fn marks(&self) -> Vec<&'static str> {
        let fences = self.0.lines().filter_map(|line| line.strip_prefix("```"));
        fences.step_by(2).collect()
    }
}
