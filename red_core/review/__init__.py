"""The analyst's answers: the review desk, decisions, batches, blind audits."""

from red_core.review.audit_report import summary
from red_core.review.decisions import FeedBackPlan, Provenance, decide, feed_back, plan_feed_back, undo

__all__ = ["FeedBackPlan", "Provenance", "decide", "feed_back", "plan_feed_back", "summary", "undo"]
