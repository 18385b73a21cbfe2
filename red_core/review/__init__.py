"""The analyst's answers: the desk, decisions, decisions on whole lists, blind audits."""

from red_core.review.audits import summary
from red_core.review.decisions import FeedBackPlan, decide, feed_back, plan_feed_back, undo

__all__ = ["FeedBackPlan", "decide", "feed_back", "plan_feed_back", "summary", "undo"]
