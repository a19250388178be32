/** What a request makes the gateway fetch goes through here, or not at all. */
export { type Reach, reachOf } from './addresses.ts';
export {
  type Address,
  Egress,
  type EgressOptions,
  type EgressSettings,
  type Fetched,
  type FetchOptions,
} from './egress.ts';
